"""What all runs of an experiment start from: its files, composed with the choices of groups of the command line."""

from typing import Any

from ftspec.compose import given as command_line
from ftspec.compose.expand import Base, Expander
from ftspec.compose.failures import of_hydra
from ftspec.compose.findings import Findings
from ftspec.compose.given import Given
from ftspec.compose.holes import leave_out, of_files
from ftspec.compose.session import Session
from ftspec.spec.errors import COMMAND_LINE, Problem

_MOST_HOLES = 50


class Basis:
    """Composes the files; what is wrong with them stands in `findings`, whose overrides become complete."""

    def __init__(self, session: Session, expander: Expander, findings: Findings) -> None:
        self.session, self.expander, self.findings = session, expander, findings
        self.groups: tuple[str, ...] = ()

    def composed(self) -> tuple[Any, Any] | None:
        """Return the unresolved configuration and the sweep block; None where no way leads to one.

        What names nothing is left out, so that everything else is looked at too.
        """
        given = self.findings.given
        self.findings.groups = tuple(
            one.text
            for one in given
            if one.is_group and one.values is None and not (one.is_sweep_block and one.prefix == "~")
        )
        self.groups = tuple(one.text for one in self.of_runs() if one.is_group and one.values is None)
        base = self._base_of(self.findings.groups)
        holes = of_files(self.session)
        if base is None or holes is None:
            return None
        self.findings.holes += holes
        self._complete({**base.raw, "sweep": base.sweep})
        return base.raw, self._sweep(base)

    def of_runs(self) -> list[Given]:
        """Return the overrides that change runs, not the sweep block."""
        return [one for one in self.findings.given if not one.is_sweep_block]

    def problem(self, error: Exception) -> Problem:
        """Word and place a failure of Hydra."""
        return of_hydra(error, self.session, self.findings.given, self.groups)

    def _base_of(self, groups: tuple[str, ...]) -> Base | None:
        """Compose with Hydra, again and again without what it does not find; None where that does not help."""
        for _ in range(_MOST_HOLES):
            try:
                return self.expander.base(groups)
            except self.session.errors as error:
                problem = self.problem(error)
            if any(file.refused and file.layer == "experiments" for file in self.session.snapshot.loaded.values()):
                return None  # told by the scan
            self.findings.place(problem)
            holes = leave_out(self.session, problem)
            if holes is None:
                return None
            self.findings.holes += holes
        return None

    def _complete(self, raw: Any) -> None:
        """Turn plain overrides of keys that the base lacks into `++key`, or report them as unknown."""
        known = []
        for one in self.findings.given:
            done = command_line.completed(one, raw)
            if isinstance(done, Problem):
                self.findings.place(done)
            else:
                known.append(done)
        self.findings.given = known

    def _sweep(self, base: Base) -> Any:
        """Return the sweep block as overrides of its keys leave it."""
        given = self.findings.given
        # `~sweep` means the block, wherever it is written; to Hydra it would mean the group's entry alone.
        gone = any(one.prefix == "~" and one.key == "sweep" for one in given)
        sweep = None if gone else base.sweep
        more = [one for one in given if one.is_sweep_block and not one.is_group and one.prefix != "~"]
        if gone and more:
            fix = "give the axes beside it: seed=1,2"
            self.findings.place(
                Problem("compose", "~sweep takes the whole block away", more[0].key, COMMAND_LINE, fix=fix)
            )
            return None
        if any(one.is_sweep_block and not one.is_group for one in given):
            try:
                return self.expander.sweep_of([one.text for one in given if one.values is None])
            except self.session.errors as error:
                self.findings.place(self.problem(error))
                return None
        return sweep
