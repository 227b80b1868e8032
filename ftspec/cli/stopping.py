"""Being asked to end: SIGTERM (a CI runner that cancels, a machine that shuts down) ends a command as Ctrl-C does."""

import signal
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
