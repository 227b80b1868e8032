"""Being asked to end: SIGTERM (a CI runner that cancels, a machine that shuts down) ends a command as Ctrl-C does."""

import signal
import sys
from types import FrameType


class Stopping:
    """Turns the first SIGTERM into what Ctrl-C is; `asked` tells afterwards which of the two it was."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Take SIGTERM from now on."""
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        # Whoever handles Ctrl-C at this moment handles this too: an event loop ends its tasks in order.
        if callable(signal.getsignal(signal.SIGINT)):
            signal.raise_signal(signal.SIGINT)
        else:  # a shell's background job ignores Ctrl-C
            raise KeyboardInterrupt


def drop(stopped: BaseException) -> None:
    """Let go of what was cut off half-made, without its complaints: an event loop, a coroutine nobody awaited yet."""
    import traceback
    import warnings

    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings(action="ignore"):
            link: BaseException | None = stopped
            while link is not None:
                traceback.clear_frames(link.__traceback__)
                link.__traceback__, link = None, link.__context__
            stopped.__cause__ = stopped.__context__ = None
    finally:
        sys.unraisablehook = hook
