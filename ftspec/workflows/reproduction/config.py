"""Level config: the sources compose to the same digests; if not, which field, file or digest is another one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from ftspec.compose import builtin_conf
from ftspec.runs.directory import RunDirectory
from ftspec.runs.lock import Lock
from ftspec.runs.staleness import changes
from ftspec.spec.digests import short
from ftspec.spec.errors import DataError, SpecError
from ftspec.storage import sha256_file
from ftspec.workflows.elsewhere import BUILT_IN, Elsewhere
from ftspec.workflows.locking import lock_of
from ftspec.workflows.plan import Plan, PlannedRun, draft_plan
from ftspec.workflows.reproduction.case import Case
from ftspec.workflows.reproduction.verdicts import Verdict

_SHOWN = 20


def config_of_run(there: Elsewhere, run: RunDirectory, case: Case) -> Plan | None:
    """Compose a run's own sources again; append the verdict of level config, return the plan where it holds."""
    try:
        plan, planned = _planned(there, run, case.train)
    except (SpecError, DataError) as error:
        case.verdicts.append(_broken(error, "it does not compose any more"))
        return None
    recorded = yaml.safe_load((run.path / "config.yaml").read_text("utf-8"))
    fields = _different_fields(recorded, planned.point.config)
    told = [*_different_digests(run.facts, planned, case.train)]
    if told:
        case.verdicts.append(Verdict("config", "differs", (*told, *fields, *_changed_blocks(run.facts))))
        return None
    if fields:
        case.notes.append("only metadata differs: " + "; ".join(fields))
    case.verdicts.append(Verdict("config", "reproduced", ("sources compose to the same digests",)))
    case.planned = planned
    return plan


def _planned(there: Elsewhere, run: RunDirectory, train: str) -> tuple[Plan, PlannedRun]:
    """Plan the experiment as it is written; where the run is not of its sweep, with the run's own overrides."""
    name = run.facts["experiment"]
    plan = draft_plan(there, name)
    planned = next((one for one in plan.runs if one.train_digest == train), None)
    if planned is None:
        overrides = tuple(yaml.safe_load((run.path / ".hydra" / "overrides.yaml").read_text("utf-8")) or ())
        plan = draft_plan(there, name, overrides)
        planned = next((one for one in plan.runs if one.train_digest == train), plan.runs[0])
    return plan, planned


def config_of_lock(there: Elsewhere, name: str, lock: Lock, cases: Sequence[Case]) -> Plan | None:
    """Compose a revision again and compare with its lock; append each run's verdict of level config."""
    try:
        plan = draft_plan(there, name)
    except (SpecError, DataError) as error:
        for case in cases:
            case.verdicts.append(_broken(error, "it does not compose"))
        return None
    found = changes(lock, lock_of(plan))
    locked = {run.label for run in lock.runs}
    unlocked = [f"config: {run.label} is not in the lock" for run in plan.runs if run.label not in locked]
    for case in cases:
        told = tuple(f"{one.cause}: {one.message}" for one in found if case.label in one.runs)
        if told:
            told += tuple(unlocked if _lacks(plan, case) else ())
            case.verdicts.append(Verdict("config", "differs", told))
            continue
        case.planned = next(run for run in plan.runs if run.train_digest == case.train)
        case.verdicts.append(Verdict("config", "reproduced", ("sources compose to the locked digests",)))
    return plan if any(case.planned for case in cases) else None


def _lacks(plan: Plan, case: Case) -> bool:
    """Tell whether a run's point is gone from the experiment, so that a new one may stand for it."""
    return all(run.label != case.label for run in plan.runs)


def _broken(error: SpecError | DataError, said: str) -> Verdict:
    return Verdict("config", "differs", (said, *(str(problem) for problem in error.problems[:5])))


def _different_digests(facts: Mapping[str, Any], planned: PlannedRun, train: str) -> Iterable[str]:
    digests = facts["digests"]
    if planned.data_digest != digests["data"]:
        yield "data: the rendered rows or their loss weights are other ones"
    yield from _different_base(facts["base"], planned)
    if planned.train_digest != train:
        yield f"train digest {short(planned.train_digest)}, not {short(train)}"
    now = {suite.name: suite.eval_digest for suite in planned.suites}
    for name, value in digests["evals"].items():
        if now.get(name) != value:
            yield f"suite {name}: scored otherwise"


def _different_base(base: Mapping[str, Any], planned: PlannedRun) -> Iterable[str]:
    now, was = dict(planned.identity.engine or {}), dict(base.get("engine") or {})
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            what = "weights of the base model" if key == "base" else f"engine {key}"
            yield f"base: {what} {str(was.get(key))[:12]} -> {str(now.get(key))[:12]}"


def _changed_blocks(facts: Mapping[str, Any]) -> Iterable[str]:
    """Name the built-in blocks that another version of ftspec brings with other bytes."""
    for file in facts["configs"]:
        if file["path"].startswith(BUILT_IN):
            block = builtin_conf() / file["path"].removeprefix(BUILT_IN)
            if not block.is_file() or sha256_file(block) != file["sha256"]:
                yield f"built-in block {file['path']} is another one in this version"


def _different_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old, new = _flat(before), _flat(after)
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return [f"{key}: {_brief(old.get(key))} -> {_brief(new.get(key))}" for key in keys[:_SHOWN]]


def _flat(config: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Return a nested configuration as dotted path to value; lists count as values."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        path = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, path)
        else:
            flat[path] = value
    return flat


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
