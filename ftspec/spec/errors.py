"""One tree of errors: each has a stable code, says what is wrong, where, and what to do, and ends in one exit code."""

import errno
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

from ftspec.spec.secrets import PART

T = TypeVar("T")
COMMAND_LINE = "command line"  # the `file` of what is wrong with an override


class Exit(IntEnum):
    """Exit codes of the command line; docs/exit-codes.md says what each means."""

    OK = 0
    FAILED = 1
    CHANGES = 2
    GATE = 3
    STALE = 4
    INPUTS_DIFFER = 10
    BITS_DIFFER = 11
    NOT_EQUIVALENT = 12
    INCONCLUSIVE = 13
    IMPOSSIBLE = 14
    USAGE = 64
    INVALID = 65
    UNSAFE = 66
    INTERNAL = 70
    PARKED = 75
    MISSING_KEY = 77
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `path` is dotted (`hyperparameters.n_epochs`); line and column count from 1.

    `file` is a path relative to the project where that is possible, or `command line` for an override. `runs` names the
    points of a sweep that it concerns (`count=20`) and `run` the label of the first; empty where it concerns all.
    """

    code: str
    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    fix: str = ""
    severity: str = "error"
    runs: str = ""
    run: str = ""

    def __post_init__(self) -> None:
        """Mask keys: messages quote what users wrote, and go to terminals, logs and pull requests."""
        for name in ("message", "fix"):
            text = getattr(self, name)
            if PART.search(text):
                object.__setattr__(self, name, PART.sub("***", text))

    @property
    def site(self) -> str:
        """`file:line:col`, as far as known."""
        parts = [self.file] if self.file else []
        parts += [str(n) for n in (self.line, self.column) if n and self.file]
        return ":".join(parts)

    def at(self, file: str, line: int = 0, column: int = 0) -> "Problem":
        """Return the same problem placed in a file."""
        return replace(self, file=file, line=line, column=column)

    @property
    def told(self) -> str:
        """The message, and in which runs of a sweep where not in all."""
        if not self.runs:
            return self.message
        return (
            f"{self.message[:-1]}, in {self.runs})"
            if self.message.endswith(")")
            else f"{self.message} (in {self.runs})"
        )

    def __str__(self) -> str:
        head = ": ".join(part for part in (self.site, self.path, self.told) if part)
        tail = f"; {self.fix}" if self.fix else ""
        return f"{head}{tail} [{self.code}]"

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape shown by `--json`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "path": self.path,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "fix": self.fix,
            "runs": self.runs,
            "run": self.run,
        }


class FtspecError(Exception):
    """Root of all errors that a user may see; holds one problem or more."""

    exit_code: Exit = Exit.FAILED

    def __init__(self, code: str, message: str, **place: Any) -> None:
        self.problems: tuple[Problem, ...] = (Problem(code, message, **place),)
        super().__init__(str(self.problems[0]))

    @classmethod
    def many(cls, problems: Iterable[Problem]) -> "FtspecError":
        """Build one error of this class out of several problems (at least one)."""
        found = tuple(problems)
        error = cls(found[0].code, found[0].message)
        error.problems = found
        error.args = ("\n".join(map(str, found)),)
        return error

    @property
    def code(self) -> str:
        """Code of the first problem."""
        return self.problems[0].code


class UsageError(FtspecError):
    """A wrong command line."""

    exit_code = Exit.USAGE


class SpecError(FtspecError):
    """An experiment that does not compose or does not validate."""

    exit_code = Exit.INVALID


class DataError(FtspecError):
    """A data file or a stored file that cannot be used."""

    exit_code = Exit.INVALID


class UnsafeError(FtspecError):
    """Configuration that could run code, leave its folder or exhaust the machine."""

    exit_code = Exit.UNSAFE


class StorageError(FtspecError):
    """The disk said no: full, read-only, missing permission. Nothing half-written is left."""

    exit_code = Exit.PARKED

    @classmethod
    def of(cls, error: OSError, path: Path, doing: str = "write") -> "StorageError":
        """Word a system error: what could not be done, to which file, and what to do."""
        advice = {
            errno.ENOSPC: ("disk_full", "free some space, then give the same command again: nothing is lost"),
            errno.EDQUOT: ("disk_full", "your quota is used up: free some space, then give the same command again"),
            errno.EROFS: ("read_only", "the file system is read-only: mount it writable or choose another folder"),
            errno.EACCES: ("no_permission", "give yourself the permission on this folder"),
            errno.EPERM: ("no_permission", "give yourself the permission on this folder"),
        }
        code, fix = advice.get(error.errno or 0, ("storage", "check the disk, then give the same command again"))
        return cls(code, f"cannot {doing}: {error.strerror or error}", file=str(path), fix=fix)


class ProviderError(FtspecError):
    """A provider refused or could not be reached; the same command goes on later."""

    exit_code = Exit.PARKED


class MissingKeyError(ProviderError):
    """No key for this provider in the environment."""

    exit_code = Exit.MISSING_KEY


class StaleError(FtspecError):
    """A lock that no longer describes the experiment, or sealed bytes that were altered."""

    exit_code = Exit.STALE


class GateError(FtspecError):
    """A declared gate failed."""

    exit_code = Exit.GATE


@dataclass
class Problems:
    """A collector: rooms add what they find, the caller raises all of it at once."""

    found: list[Problem] = field(default_factory=list)
    kinds: list[type[FtspecError]] = field(default_factory=list)

    def add(self, code: str, message: str, **place: Any) -> None:
        """Add one problem."""
        self.found.append(Problem(code, message, **place))

    @property
    def errors(self) -> list[Problem]:
        """Those of severity error."""
        return [problem for problem in self.found if problem.severity == "error"]

    def raise_as(self, kind: type[FtspecError]) -> None:
        """Raise everything found as one error of `kind`, if there is an error among it."""
        if self.errors:
            raise kind.many(self.errors)

    def try_to(self, look: Callable[[], T]) -> T | None:
        """Return what `look` returns, or None after taking down what it raises of a spec or its data."""
        try:
            return look()
        except (SpecError, DataError, UnsafeError) as error:
            self.take(error)
            return None

    def take(self, error: FtspecError) -> None:
        """Add an error's problems; the kind of all of them together may change by it."""
        self.found += error.problems
        self.kinds.append(type(error))

    def join(self, other: "Problems") -> None:
        """Add what another collector found."""
        self.found += other.found
        self.kinds += other.kinds

    def error(self) -> FtspecError | None:
        """Return all errors as one, each once, or None where there is none."""
        if not self.errors:
            return None
        return kind_of(self.kinds or [SpecError]).many(dict.fromkeys(self.errors))


def kind_of(kinds: Sequence[type[FtspecError]]) -> type[FtspecError]:
    """Return the kind of several errors together: unsafe above all, a mistake of the spec below all."""
    unsafe = (kind for kind in kinds if issubclass(kind, UnsafeError))
    other = (kind for kind in kinds if not issubclass(kind, SpecError))
    return next(unsafe, None) or next(other, None) or kinds[0]


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems by file, line and column; then those of the command line, then those without a place.

    What stands at one place, or at none, keeps its order.
    """
    return sorted(problems, key=lambda one: (not one.file, one.file == COMMAND_LINE, one.file, one.line, one.column))


MAX_SHOWN = 200


def shortened(problems: Sequence[Problem]) -> list[Problem]:
    """Return the first 200 problems, the first of each kind that comes after them, and how many more there are."""
    shown = list(problems[:MAX_SHOWN])
    kinds = {problem.code for problem in shown}
    for problem in problems[MAX_SHOWN:]:
        if problem.code not in kinds:
            kinds.add(problem.code)
            shown.append(problem)
    more = len(problems) - len(shown)
    return [*shown, Problem("more", f"and {more} more problems of the same kinds")] if more else shown
