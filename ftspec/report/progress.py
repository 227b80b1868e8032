"""Progress of a running workflow: redrawn lines on a terminal, plain lines in CI and in logs. Both consume events."""

import sys
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from ftspec.report.problems import visible
from ftspec.report.style import duration, interval, size, sparkline
from ftspec.spec.events import (
    Answered,
    Checked,
    Event,
    JobCreated,
    JobStatus,
    Notice,
    Planned,
    RunFinished,
    Scored,
    StageFinished,
    StageStarted,
    TrainStep,
    Verifying,
)

# Plain logs get a line a quarter of a training, not one a step.
_PLAIN_SHARE = 4
# Verifying is short as a rule; of a long one a log gets a line now and then.
_PLAIN_SECONDS = 10.0


class Display(Protocol):
    """Something that shows events while a workflow runs; a context manager."""

    def __call__(self, event: Event) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None: ...


@dataclass
class _Subject:
    """What is known of one run or arm while it goes on."""

    stage: str = ""
    step: int = 0
    total: int = 0
    loss: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def eta(self) -> str:
        if not self.step or not self.total:
            return ""
        left = (time.monotonic() - self.started) / self.step * (self.total - self.step)
        return f"eta {int(left // 60)}:{int(left % 60):02d}"


class PlainDisplay:
    """One line an event that matters, for CI and logs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quarter: dict[str, int] = {}
        self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stream.flush()

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it has one."""
        text = self._text(event)
        if text:
            self._stream.write(text + "\n")
            self._stream.flush()

    def _text(self, event: Event) -> str:
        if isinstance(event, TrainStep):
            quarter = event.step * _PLAIN_SHARE // max(1, event.total_steps)
            if quarter <= self._quarter.get(event.subject, 0):
                return ""
            self._quarter[event.subject] = quarter
            loss = f"loss {event.train_loss:.3f}" if event.train_loss is not None else ""
            return f"{visible(event.subject)}  train {event.step}/{event.total_steps}  {loss}".rstrip()
        if isinstance(event, Verifying) and event.folder:
            if time.monotonic() - self._told < _PLAIN_SECONDS:
                return ""
            self._told = time.monotonic()
            return f"verify {event.done}/{event.total}  {size(event.bytes)}  {visible(event.folder)}"
        return line_of(event)


def line_of(event: Event) -> str:
    """Return an event's one-line text, empty for those that only feed a live display."""
    match event:
        case Planned():
            return f"{event.experiment}: {event.to_train} of {event.runs} runs to train, {event.reused} reused"
        case Checked():
            return f"{event.equal} of {event.total} configs equal Hydra's compose"
        case JobCreated():
            return f"{visible(event.subject)}  job {event.job}" + (" (found again)" if event.adopted else "")
        case Scored():
            score = interval(event.value, event.low, event.high)
            return f"{visible(event.subject)}  {event.suite} {event.metric} {score} on {event.n} items"
        case RunFinished(outcome="failed"):
            return f"{visible(event.subject)}  failed"
        case RunFinished(outcome="trained"):
            # The table's `training` is the training alone.
            return f"{visible(event.subject)}  trained, done after {duration(event.seconds)} (with queue and scoring)"
        case RunFinished():
            return f"{visible(event.subject)}  {event.outcome} in {duration(event.seconds)}"
        case Notice():
            subject = f"{visible(event.subject)}  " if event.subject else ""
            return f"{subject}{event.level}: {visible(event.message)}"
        case _:
            return ""


class LiveDisplay:
    """The lines of what runs now, redrawn in place below the lines of what is done. Uses rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._subjects: dict[str, _Subject] = {}
        self._runs = 0
        self._finished = 0
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._render)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.__exit__(kind, error, tb)

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case Planned():
                # Reused runs also say that they are finished, each in its turn.
                self._runs, self._finished = event.runs, 0
            case StageStarted():
                self._subjects[event.subject] = _Subject(stage=event.stage, total=event.total)
            case JobStatus():
                self._subjects.setdefault(event.subject, _Subject()).stage = event.status.replace("_", " ")
            case TrainStep():
                subject = self._subjects.setdefault(event.subject, _Subject())
                if not subject.loss:
                    subject.stage, subject.started = "train", time.monotonic()
                subject.step, subject.total = event.step, event.total_steps
                if event.train_loss is not None:
                    subject.loss.append(event.train_loss)
            case Answered():
                subject = self._subjects.setdefault(event.subject, _Subject())
                subject.stage, subject.step, subject.total = f"score {event.suite}", event.done, event.total
            case Verifying():
                self._runs, self._finished = event.total, event.done
                self._subjects = {event.folder: _Subject(stage=size(event.bytes))} if event.folder else {}
            case StageFinished():
                self._subjects.pop(event.subject, None)
            case RunFinished():
                self._subjects.pop(event.subject, None)
                self._finished += 1
        if (text := line_of(event)) and not isinstance(event, JobCreated):
            from rich.text import Text

            self._console.print(Text(text))

    def _render(self) -> Any:
        from rich.text import Text

        head = f" {self._finished}/{self._runs}"
        return Text("\n".join(f"{head}  {visible(name)}   {_doing(s)}" for name, s in list(self._subjects.items())))


def _doing(subject: _Subject) -> str:
    if not subject.step:
        return subject.stage
    return f"{subject.stage} {subject.step}/{subject.total}  {_loss(subject)}  {subject.eta}".rstrip()


def _loss(subject: _Subject) -> str:
    if not subject.loss:
        return ""
    return f"loss {subject.loss[0]:.2f} {sparkline(subject.loss)} {subject.loss[-1]:.2f}"


def display(live: bool) -> Display:
    """Return the display for this stream."""
    return LiveDisplay() if live else PlainDisplay()
