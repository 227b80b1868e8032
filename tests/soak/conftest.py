"""What both soaks share: how many cases, a clock that ends a hang, and the count of what became of them."""

import random
import re
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ftspec.spec.errors import FtspecError, Problem

SEED = 20_261
LONGEST = 60  # seconds of one case, on a machine that does much else
LEAST_VALID = 0.3
ENOUGH = 50  # fewer cases say nothing about shares
_BREAK = re.compile(rb"\r\n|[\n\r]|\xc2\x85|\xe2\x80[\xa8\xa9]")  # what YAML calls the end of a line
SHARES = {"rows": 40, "sources": 20, "specs": 25, "yaml": 12, "several": 3}  # of a hundred cases


class Soak:
    """Counts cases by their outcome; `number` finds a failing one again."""

    def __init__(self, name: str, cases: Sequence[int]) -> None:
        self.name, self.cases = name, cases
        self.codes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.valid = 0
        self.done = 0
        self._number = 0

    def rounds(self) -> Iterator[tuple[int, random.Random]]:
        """Yield each case's number and its own source of chance."""
        for number in self.cases:
            self._number = number
            self.done += 1
            yield number, random.Random(f"{SEED}/{self.name}/{number}")

    @contextmanager
    def case(self, shown: str) -> Iterator[None]:
        """Take down whatever goes wrong with one case; a FtspecError is the caller's."""
        try:
            with _limited():
                yield
        except FtspecError:
            raise
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.wrong.append(f"{self._number}: {type(error).__name__}: {error} ({where.name})\n{shown}")

    def refused(self, problems: tuple[Problem, ...], root: Path, shown: str) -> None:
        """Check that a refusal is coded, placed, and speaks of the user's files alone."""
        self.codes.update({problem.code for problem in problems if problem.severity == "error"})
        for problem in problems:
            with self.case(f"{problem!r}\n{shown}"):
                assert problem.code
                assert problem.message
                placed = problem.file or (
                    problem.path and self.name in ("rows", "sources")
                )  # a plan knows where it stands
                assert placed or re.match(r"and \d+ more", problem.message), "no place"
                whole = str(problem)
                assert str(root) not in whole, "a path of this machine"
                assert not any(sign in whole for sign in ("Traceback", "<class", "object at 0x", "ftspec.")), "of ours"
                plain = not problem.file.startswith("conf:") and not problem.file.endswith((".gz", ".zst", ".parquet"))
                if problem.line and plain:
                    lines = len(_BREAK.findall((root / problem.file).read_bytes())) + 1
                    assert 1 <= problem.line <= lines, "a line that is not there"

    def finish(self) -> None:
        """Print the counts; fail if too few cases were valid to mean anything."""
        share = self.valid / self.done
        commonest = ", ".join(f"{code} {count}" for code, count in self.codes.most_common(12))
        print(
            f"\nsoak {self.name}: {self.done:,} cases, {self.valid:,} valid ({share:.0%}), "
            f"{self.done - self.valid:,} refused with {len(self.codes)} different codes: {commonest}, ..."
        )
        assert not self.wrong, f"{len(self.wrong)} cases went wrong\n" + "\n\n".join(self.wrong[:5])
        assert share >= LEAST_VALID or self.done < ENOUGH


@contextmanager
def _limited() -> Iterator[None]:
    """Raise TimeoutError in a case that takes longer than LONGEST; only the main thread has signals."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def over(*_: Any) -> None:
        raise TimeoutError(f"longer than {LONGEST} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> Any:
    """Make a soak: its share of the `--soak N` cases, or the cases of `--soak-case NUMBER`."""
    one: list[int] = request.config.getoption("--soak-case")
    all_of_them: int = request.config.getoption("--soak")

    def make(name: str) -> Soak:
        return Soak(name, one or range(max(1, all_of_them * SHARES[name] // sum(SHARES.values()))))

    return make
