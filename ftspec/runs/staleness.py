"""What changed between two locks, run by run, each change with its cause: data, config, suite or base."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ftspec.runs.lock import Lock, LockedRun

Cause = Literal["data", "config", "suite", "base"]
_PARTS = {
    "items": "held-out items changed",
    "request": "request or sampling changed",
    "arms": "arms changed: a prompt, examples or the majority label",
    "graders": "graders changed",
    "metrics": "metrics changed",
}


@dataclass(frozen=True)
class Change:
    """One reason why entries are stale, with the labels of the runs that it touches."""

    cause: Cause
    message: str
    runs: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.runs[:4]) + (f" and {len(self.runs) - 4} more" if len(self.runs) > 4 else "")
        return f"{self.cause}: {self.message}" + (f" ({shown})" if shown else "")


def changes(old: Lock, new: Lock) -> tuple[Change, ...]:
    """Return why `new` is not `old`; empty where every run has the same digests, point and place.

    A block whose wording changed without changing a digest is no change: nothing would be done again.
    """
    found: dict[tuple[Cause, str], list[str]] = {}
    for label, cause, message in _all(old, new):
        found.setdefault((cause, message), []).append(label)
    return tuple(Change(cause, message, tuple(labels)) for (cause, message), labels in found.items())


def _all(old: Lock, new: Lock) -> Iterator[tuple[str, Cause, str]]:
    before = {run.label: run for run in old.runs}
    after = {run.label: run for run in new.runs}
    for label in after.keys() - before.keys():
        yield label, "config", "new run"
    for label in before.keys() - after.keys():
        yield label, "config", "run is gone"
    for label, run in after.items():
        if label in before:
            for cause, message in _of_run(old, new, before[label], run):
                yield label, cause, message


def _of_run(old: Lock, new: Lock, before: LockedRun, after: LockedRun) -> Iterator[tuple[Cause, str]]:
    if before.train != after.train:
        told = [*_of_base(old, new, before, after), *_of_settings(before, after)]
        if before.data != after.data:
            told += _of_data(old, new, before.data, after.data)
        yield from told or [("config", "the training is identified otherwise: a built-in default or the engine")]
    elif before.overrides != after.overrides:
        yield "config", "the same training is written with other overrides"
    yield from _of_suites(old, new, before, after)


def _of_base(old: Lock, new: Lock, before: LockedRun, after: LockedRun) -> Iterator[tuple[Cause, str]]:
    was = next((base for base in old.bases if base.requested == before.model), None)
    now = next((base for base in new.bases if base.requested == after.model), None)
    if before.model != after.model:
        yield "base", f"model {before.model} -> {after.model}"
    elif was is None or now is None or was == now:
        return
    elif was.family != now.family:
        yield "base", f"provider family {was.family} -> {now.family}"
    elif was.contract != now.contract:
        yield "base", f"engine contract {was.contract} -> {now.contract}"
    else:
        yield "base", f"weights of {now.model} {str(was.digest)[:12]} -> {str(now.digest)[:12]}"


def _of_settings(before: LockedRun, after: LockedRun) -> Iterator[tuple[Cause, str]]:
    for key in sorted({*before.hyperparameters, *after.hyperparameters}):
        was, now = before.hyperparameters.get(key), after.hyperparameters.get(key)
        if was != now:
            yield "config", f"hyperparameters.{key} {was} -> {now}"
    if before.seed != after.seed:
        yield "config", f"seed {before.seed} -> {after.seed}"
    if before.method != after.method:
        yield "config", f"method {before.method} -> {after.method}"


def _of_data(old: Lock, new: Lock, before: str, after: str) -> list[tuple[Cause, str]]:
    was, now = old.recipe(before), new.recipe(after)
    if was is None or now is None:
        return [("data", "rendered files changed")]
    told: list[tuple[Cause, str]] = []
    sources, fresh = old.sources_of(before), new.sources_of(after)
    for path in sorted({*was.sources, *now.sources}):
        first, second = sources.get(path), fresh.get(path)
        if path not in was.sources or path not in now.sources:
            told.append(("data", f"source {path} {'added' if path in now.sources else 'removed'}"))
        elif first is not None and second is not None and first[0] != second[0]:
            rows = f", {first[1]} -> {second[1]} rows" if first[1] != second[1] else ""
            told.append(("data", f"rows of {path} changed{rows}"))
    words = {"messages": "the prompt (dataset.messages)", "tools": "dataset.tools", "split": "dataset.split"}
    words["weights"] = "loss weights"
    told += [("data", f"{said} changed") for key, said in words.items() if getattr(was, key) != getattr(now, key)]
    return told or [("data", "rendered files changed, though sources and settings did not: another version renders")]


def _of_suites(old: Lock, new: Lock, before: LockedRun, after: LockedRun) -> Iterator[tuple[Cause, str]]:
    for name in sorted({*before.evals, *after.evals}):
        if name not in before.evals or name not in after.evals:
            yield "suite", f"{name} {'added' if name in after.evals else 'removed'}"
        elif before.evals[name] != after.evals[name]:
            was = next((s for s in old.suites if s.eval == before.evals[name]), None)
            now = next((s for s in new.suites if s.eval == after.evals[name]), None)
            parts = [key for key in _PARTS if was and now and was.parts.get(key) != now.parts.get(key)]
            yield "suite", f"{name}: " + ("; ".join(_PARTS[key] for key in parts) or "scored otherwise")
