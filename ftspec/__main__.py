"""`python -m ftspec`: the same as the command `ftspec`."""

import os
import sys

# `-m` puts the current folder before everything: a module of the project called `yaml` or `click` would be run.
sys.path[:] = [entry for entry in sys.path if entry and entry != os.getcwd()] or sys.path

from ftspec.cli.main import script  # noqa: E402

if __name__ == "__main__":
    script()
