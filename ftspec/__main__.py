"""`python -m ftspec`: the same as the command `ftspec`."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036  (pip refuses to install there, but any Python can start a checkout)
    sys.exit("ftspec needs Python 3.11 or newer; this is %s" % sys.version.split()[0])  # noqa: UP031

# `-m` puts the current folder before everything: a module of the project called `yaml` or `click` would be run.
sys.path[:] = [entry for entry in sys.path if entry and entry != os.getcwd()] or sys.path

from ftspec.cli.main import script  # noqa: E402

if __name__ == "__main__":
    script()
