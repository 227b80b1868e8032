"""Whether a stream is a terminal that wants colours."""

import os
import sys


def out_colour() -> bool:
    """Colours on stdout only on a terminal, never with NO_COLOR (https://no-color.org) or TERM=dumb."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def err_colour() -> bool:
    """Colours on stderr, by the same rule."""
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def is_live() -> bool:
    """Whether progress may redraw lines: a terminal outside CI. Elsewhere progress is plain lines."""
    return sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"
