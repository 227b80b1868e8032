"""`python -m ftspec`: the same as the command `ftspec`."""

from ftspec.cli.main import script

if __name__ == "__main__":
    script()
