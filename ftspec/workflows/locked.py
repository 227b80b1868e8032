"""Facts out of the committed lock and rows, for data that lies outside git; and whether a lock is current."""

from collections.abc import Mapping
from dataclasses import replace

from ftspec.compose import Project
from ftspec.workflows.sides import ExperimentSide


def of_lock(project: Project, name: str, pointers: Mapping[str, str]) -> ExperimentSide | None:
    """Return an experiment whose data is not at hand, None where no lock tells about it."""
    return None


def lock_state(project: Project, side: ExperimentSide) -> ExperimentSide:
    """Return the experiment with the state of its lock: none, current or stale."""
    return replace(side, lock="none")
