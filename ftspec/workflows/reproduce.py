"""Do a run again and judge: the same result, or the reason why not. A new attempt each time, never an overwrite."""

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import yaml

from ftspec.compose import Project
from ftspec.evals.cache import ResponseCache
from ftspec.evals.compare import measured
from ftspec.evals.grade import read_grades
from ftspec.evals.metrics import Values
from ftspec.evals.responses import read_responses
from ftspec.evals.scores import arm_values, read_scores
from ftspec.providers.body import ATTEMPT, KEY, TRAIN, job_body, normalised_sha256
from ftspec.providers.connect import connect
from ftspec.providers.profiles import load_profile
from ftspec.runs.directory import Attempt, RunDirectory, find_run
from ftspec.runs.environment import environment
from ftspec.runs.integrity import check_run
from ftspec.runs.known import KnownResult, KnownResults, read_results
from ftspec.runs.lock import Lock, LockedRun, read_lock
from ftspec.runs.seal import is_sealed, seal_digest
from ftspec.runs.staleness import changes
from ftspec.runs.surroundings import Difference, differences, how_to_run
from ftspec.spec.errors import DataError, FtspecError, ProviderError, SpecError, StaleError, UsageError
from ftspec.spec.events import Emit, Notice, silent
from ftspec.storage import read_json, read_log
from ftspec.workflows.elsewhere import Elsewhere, GoneError, file_at, of_revision, of_run
from ftspec.workflows.judge import (
    Standing,
    Weights,
    claim_of,
    different_answers,
    drift,
    flattened,
    judge_bits,
    judge_conclusion,
    judge_equivalent,
    judge_unpaired,
    provable_margin,
    together,
)
from ftspec.workflows.locking import lock_of
from ftspec.workflows.look import find_runs
from ftspec.workflows.plan import Plan, PlannedRun, PlannedSuite, canonical_hyperparameters, make_plan
from ftspec.workflows.record import record_runs
from ftspec.workflows.regrade import judge_scores
from ftspec.workflows.results import collect
from ftspec.workflows.run import DEFAULT_CONCURRENCY, RunOptions, check_budget
from ftspec.workflows.score import Runner, score_again, score_run
from ftspec.workflows.train import ensure_trained, train_again
from ftspec.workflows.verdicts import Level, Reproduction, Subject, Verdict

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_-]*)(?:\[(?P<label>[^\]]*)\])?(?:@(?P<rev>[^@\s]+))?")
_TRAINS: tuple[Level, ...] = ("bits", "equivalent", "conclusion")


@dataclass(frozen=True)
class ReproduceOptions:
    """How far to go. `provider` makes it a transfer; `overrides` may then complete that provider's block."""

    level: Level = "bits"
    provider: str | None = None
    overrides: tuple[str, ...] = ()
    yes: bool = False
    accept_unknown: bool = False


@dataclass
class Case:
    """One run in hand: what was claimed of it, what it is planned as now, and what was found."""

    label: str
    train: str
    planned: PlannedRun | None = None
    directory: RunDirectory | None = None
    attempt: Attempt | None = None
    locked: LockedRun | None = None
    known: tuple[KnownResult, ...] = ()
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fresh: Attempt | None = None

    @property
    def ended(self) -> bool:
        """Whether a level did not hold, so that later ones are not tried."""
        return bool(self.verdicts) and self.verdicts[-1].word != "reproduced"

    def subject(self) -> Subject:
        """What is told of it."""
        found: list[Difference] = []
        notes = list(self.notes)
        if self.attempt is not None and (self.attempt.path / "env.json").is_file():
            recorded = read_json(self.attempt.path / "env.json")
            now = read_json(self.fresh.path / "env.json") if self.fresh else environment()
            found = differences(recorded, now)
            if how := how_to_run(recorded, now):
                notes.append(how)
        attempt = str(self.fresh.path) if self.fresh else ""
        return Subject(self.label, self.train, tuple(self.verdicts), attempt, tuple(notes), tuple(found))


async def reproduce(
    project: Project, target: str, options: ReproduceOptions = ReproduceOptions(), emit: Emit = silent
) -> Reproduction:
    """Reproduce a run directory, or `NAME[LABEL]@REV` from git and its lock, up to a level.

    Raises UsageError for a target that means nothing, StaleError where the evidence itself was altered, GateError for
    a price without a yes, ProviderError where a new training cannot be made.
    """
    if options.provider is not None and options.level != "equivalent":
        raise UsageError("transfer_level", "a transfer is judged by scores alone", fix="--level equivalent")
    match = _NAMED.fullmatch(target)
    named = match is not None and (match["label"] is not None or match["rev"] is not None)
    if match is not None and (named or match["name"] in project.experiment_names()):
        return await _Named(project, match["name"], match["label"], match["rev"], options, emit).run()
    return await _of_directory(project, target, options, emit)


async def _of_directory(project: Project, target: str, options: ReproduceOptions, emit: Emit) -> Reproduction:
    run = _one_run(project, target)
    if options.level == "conclusion":
        fix = f"ftspec reproduce {run.experiment} --level conclusion"
        raise UsageError("sweep_level", "a conclusion is that of a sweep, not of one run", fix=fix)
    refuse_altered(run)
    facts, attempt = run.facts, run.finished()
    if attempt is None:
        raise UsageError("not_finished", f"{run.path.name} has no finished attempt", fix=f"ftspec run {run.experiment}")
    case = Case(facts["label"], facts["digests"]["train"], directory=run, attempt=attempt)
    notes = [f"from the run directory {run.path}"]
    try:
        with of_run(project, run) as there:
            plan = _config_of_run(there, facts["experiment"], run, case)
            if plan is not None:
                await _Levels(there, plan, [case], options, emit).run()
    except GoneError as gone:
        case.verdicts.append(Verdict("config", "impossible", (gone.what,), since=gone.since))
        if options.level == "scores":
            case.notes.append(f"not composed again: {gone.what}")
            case.verdicts.append(judge_scores(run, attempt, None, project.store))
    return Reproduction(facts["experiment"], options.level, (case.subject(),), tuple(notes))


def _one_run(project: Project, target: str) -> RunDirectory:
    found = find_runs(project.runs, target)
    if not found:
        fix = "`ftspec ls` lists runs; from git and lock alone: ftspec reproduce NAME[LABEL]@REVISION"
        raise UsageError("unknown_run", f"no run or experiment is called {target!r}", fix=fix)
    if len(found) > 1:
        named = ", ".join(f"{run.experiment}/{run.path.name}" for run in found)
        raise UsageError("several_runs", f"{target!r} names {len(found)} runs", fix=f"say which: {named}")
    return found[0]


def refuse_altered(run: RunDirectory) -> None:
    """Raise StaleError where sealed bytes of a run are not what they were: nothing may be concluded from them."""
    bad = [one for one in check_run(run) if one.state not in ("intact", "unsealed")]
    if bad:
        faults = "; ".join(f"{one.folder.name}/{fault}" for one in bad for fault in one.faults) or bad[0].note
        raise StaleError("altered", f"the evidence was altered: {faults}", file=str(run.path), fix="ftspec verify")


def _config_of_run(there: Elsewhere, name: str, run: RunDirectory, case: Case) -> Plan | None:
    """Compose a run's own sources again; append the verdict of level config, return the plan where it holds."""
    overrides = tuple(yaml.safe_load((run.path / ".hydra" / "overrides.yaml").read_text("utf-8")) or ())
    digests = run.facts["digests"]
    try:
        plan = make_plan(there, name)
        planned = next((r for r in plan.runs if r.train_digest == case.train), None)
        if planned is None:
            plan = make_plan(there, name, overrides)
            planned = next((r for r in plan.runs if r.train_digest == case.train), plan.runs[0])
    except (SpecError, DataError) as error:
        why = tuple(str(problem) for problem in error.problems[:5])
        case.verdicts.append(Verdict("config", "differs", ("it does not compose any more", *why)))
        return None
    recorded = yaml.safe_load((run.path / "config.yaml").read_text("utf-8"))
    fields = _different_fields(recorded, planned.point.config)
    told: list[str] = []
    if planned.data_digest != digests["data"]:
        told.append("the rendered data differs")
    if planned.train_digest != case.train:
        told.append(f"train digest {planned.train_digest[7:19]}, not {case.train[7:19]}")
    told += _different_base(run.facts["base"], planned)
    now = {suite.name: suite.eval_digest for suite in planned.suites}
    told += [f"suite {key}: scored otherwise" for key, value in digests["evals"].items() if now.get(key) != value]
    if told:
        case.verdicts.append(Verdict("config", "differs", (*told, *fields)))
        return None
    if fields:
        case.notes.append("only metadata differs: " + "; ".join(fields))
    case.verdicts.append(Verdict("config", "reproduced", ("sources compose to the same digests",)))
    case.planned = planned
    return plan


def _different_base(base: dict[str, Any], planned: PlannedRun) -> Iterable[str]:
    now = dict(planned.identity.engine) if planned.identity.engine is not None else None
    was = base.get("engine")
    for key in sorted({*(was or {}), *(now or {})}):
        if (was or {}).get(key) != (now or {}).get(key):
            yield f"base: {key} {str((was or {}).get(key))[:12]} -> {str((now or {}).get(key))[:12]}"


def _different_fields(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old, new = flattened(before), flattened(after)
    told = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            told.append(f"{key}: {_brief(old.get(key))} -> {_brief(new.get(key))}")
    return told[:20]


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Named:
    """`NAME[LABEL]@REV`: git and the lock say what was claimed; run directories of the same digests add to it."""

    def __init__(
        self, project: Project, name: str, label: str | None, rev: str | None, options: ReproduceOptions, emit: Emit
    ) -> None:
        self.project, self.name, self.label, self.rev = project, name, label, rev
        self.options, self.emit = options, emit
        self.notes = [f"from {'the working tree' if rev is None else f'revision {rev}'} and its lock"]

    async def run(self) -> Reproduction:
        lock, known = self._read()
        cases = [self._case(run, known) for run in lock.runs if self.label in (None, run.label)]
        if not cases:
            labels = ", ".join(run.label for run in lock.runs[:8])
            raise UsageError(
                "unknown_run", f"the lock of {self.name} has no run {self.label!r}", fix=f"one of: {labels}"
            )
        if any(case.directory is None for case in cases):
            self.notes.append(
                "no run directory: it would have added the recorded request (inputs), answers to compare (bits, paired"
                " equivalence) and to grade again (scores), versions and machine"
            )
        outside = {source.path: source.sha256 for source in lock.sources}
        extra: tuple[Subject, ...] = ()
        try:
            with of_revision(self.project, self.rev, outside) as there:
                plan = self._config(there, lock, cases)
                if plan is not None:
                    levels = _Levels(there, plan, cases, self.options, self.emit)
                    await levels.run()
                    if self.options.level == "conclusion" and not any(case.ended for case in cases):
                        extra = (await levels.conclusion(known),)
        except GoneError as gone:
            for case in cases:
                case.verdicts.append(Verdict("config", "impossible", (gone.what,), since=gone.since))
        return Reproduction(
            self.name, self.options.level, (*extra, *(case.subject() for case in cases)), tuple(self.notes)
        )

    def _read(self) -> tuple[Lock, KnownResults]:
        path = f"experiments/{self.name}.lock.json"
        content = file_at(self.project, self.rev, path)
        if content is None:
            where = "" if self.rev is None else f" at {self.rev}"
            fix = f"ftspec lock {self.name}, and commit it; or name a run directory"
            raise UsageError("no_lock", f"there is no {path}{where}", fix=fix)
        known = file_at(self.project, self.rev, f"experiments/{self.name}.results.json")
        return read_lock(content, file=path), read_results(known) if known is not None else KnownResults()

    def _case(self, run: LockedRun, known: KnownResults) -> Case:
        directory = find_run(self.project.runs, run.train)
        attempt = directory.finished() if directory is not None else None
        if directory is not None:
            refuse_altered(directory)
        rows = tuple(row for row in known.results if row.train == run.train)
        return Case(run.label, run.train, None, directory if attempt else None, attempt, run, rows)

    def _config(self, there: Elsewhere, lock: Lock, cases: Sequence[Case]) -> Plan | None:
        """Compose the revision again and compare with its lock; append each run's verdict of level config."""
        try:
            plan = make_plan(there, self.name)
        except (SpecError, DataError) as error:
            told = tuple(str(problem) for problem in error.problems[:5])
            for case in cases:
                case.verdicts.append(Verdict("config", "differs", ("it does not compose", *told)))
            return None
        found = changes(lock, lock_of(plan))
        for case in cases:
            told = tuple(f"{one.cause}: {one.message}" for one in found if case.label in one.runs)
            if told:
                case.verdicts.append(Verdict("config", "differs", told))
                continue
            case.planned = next(run for run in plan.runs if run.train_digest == case.train)
            case.verdicts.append(Verdict("config", "reproduced", ("sources compose to the locked digests",)))
        return plan if any(case.planned for case in cases) else None


class _Levels:
    """Takes composed cases up to the level that was asked for."""

    def __init__(
        self, there: Elsewhere, plan: Plan, cases: Sequence[Case], options: ReproduceOptions, emit: Emit
    ) -> None:
        self.there, self.plan, self.options, self.emit = there, plan, options, emit
        self.cases = cases
        self.runner: Runner | None = None
        self.again: dict[str, Values] = {}

    async def run(self) -> None:
        level = self.options.level
        if level == "config":
            return
        for case in self._open():
            case.verdicts.append(_inputs(case))
        if level == "scores":
            for case in self._open():
                case.verdicts.append(self._scores(case))
        if level not in _TRAINS:
            return
        for case in self._open():
            if (verdict := self._forbidden(case)) is not None:
                case.verdicts.append(verdict)
        if not self._open():
            return
        if self.options.provider is not None:
            await self._transfer()
        else:
            await self._train()

    def _open(self) -> list[Case]:
        return [case for case in self.cases if not case.ended and case.planned is not None]

    def _scores(self, case: Case) -> Verdict:
        if case.directory is None or case.attempt is None:
            return Verdict("scores", "impossible", ("the stored answers lie in the run directory, which is missing",))
        return judge_scores(case.directory, case.attempt, case.planned, self.there.store)

    def _forbidden(self, case: Case) -> Verdict | None:
        """Say what cannot be done at all: bits of a host, jobs that it takes no more."""
        assert case.planned is not None
        level = self.options.level
        if level == "bits" and case.planned.identity.engine is None:
            return Verdict("bits", "impossible", ("a hosted provider shows no weights and repeats no training",))
        if self.options.provider is not None:
            return None
        experiment = case.planned.point.experiment
        today = date.today()
        for row in load_profile(experiment.provider.profile).lifecycle:
            closed = row.effect == "create_closed" and row.scope == "everyone" and row.date <= today
            if closed and any(_like(experiment.model, pattern) for pattern in row.models):
                what = f"{experiment.provider.profile} takes no new jobs of {experiment.model}"
                return Verdict(level, "impossible", (what, "stored scores can be graded again"), since=f"{row.date}")
        return None

    async def _train(self) -> None:
        """Train every open case anew, score it, and judge it."""
        plan = dataclasses.replace(
            self.plan,
            runs=tuple(dataclasses.replace(c.planned, attempt=None) for c in self._open() if c.planned is not None),
        )
        self._tell_power(plan)
        check_budget(plan, RunOptions(yes=self.options.yes, accept_unknown=self.options.accept_unknown))
        directories = record_runs(dataclasses.replace(self.plan, runs=plan.runs))
        async with _runner(self.there, plan, self.emit) as runner:
            self.runner = runner
            gate = asyncio.Semaphore(plan.composed.experiment.provider.concurrency or DEFAULT_CONCURRENCY)

            async def guarded(case: Case) -> None:
                async with gate:
                    await self._again(case, directories[case.train], runner)

            await asyncio.gather(*(guarded(case) for case in self._open()))
            if self.options.level == "conclusion":
                await self._baselines(plan, runner)

    async def _again(self, case: Case, directory: RunDirectory, runner: Runner) -> None:
        assert case.planned is not None
        run, connection = case.planned, runner.connection(case.planned)
        claimed = seal_digest(case.attempt.path) if case.attempt else next((row.attempt for row in case.known), None)
        try:
            case.fresh = await train_again(run, directory, connection, self.there, self.emit, reproduces=claimed)
            await score_run(run, directory, case.fresh, runner)
        except ProviderError as error:
            case.verdicts.append(Verdict(self.options.level, "impossible", (str(error.problems[0]),)))
            return
        case.directory = directory
        if self.options.level == "bits":
            case.verdicts.append(self._bits(case))
        elif self.options.level == "equivalent":
            case.verdicts.append(self._equivalent(case))

    def _bits(self, case: Case) -> Verdict:
        assert case.fresh is not None
        claims, answers = [], []
        if case.attempt is not None:
            claims.append(_weights(case.attempt, f"attempt {case.attempt.path.name}"))
            for suite, before, after in self._pairs(case):
                if before is None:
                    case.notes.append(f"{suite.name}: no stored answers to compare with")
                    continue
                old, new = read_responses(before / "responses.jsonl"), read_responses(after / "responses.jsonl")
                answers += different_answers(suite.name, old, new)
                if said := drift(suite.name, old, new):
                    case.notes.append(said)
        else:
            case.notes.append("answers are compared by their score alone: the recorded ones are not here")
            for suite, _, after in self._pairs(case):
                row = next((row for row in case.known if row.eval == suite.eval_digest), None)
                value = _primary(after)[0]
                if row is not None and row.value != value:
                    answers.append(f"{suite.name}: {row.metric} {value}, not {row.value} as in results.json")
        if row := next(iter(case.known), None):
            claims.append(Weights(row.weights, row.numerics, "results.json"))
        return judge_bits(claims, _weights(case.fresh, "now"), answers)

    def _pairs(self, case: Case) -> Iterable[tuple[PlannedSuite, Any, Any]]:
        """Yield each trained suite with the folders of the recorded and the new scores."""
        assert case.planned is not None
        assert case.directory is not None
        assert case.fresh is not None
        for suite in case.planned.suites:
            if suite.suite.trained_arms:
                after = case.directory.evals(suite.name, suite.eval_digest, case.fresh)
                before = case.directory.evals(suite.name, suite.eval_digest, case.attempt) if case.attempt else None
                yield suite, before if before is not None and is_sealed(before) else None, after

    def _equivalent(self, case: Case) -> Verdict:
        found = []
        for suite, before, after in self._pairs(case):
            settings = suite.suite.suite.compare
            if before is not None:
                old, new = _measured(suite, before, "recorded"), _measured(suite, after, "now")
                found.append(judge_equivalent(suite.name, old, new, settings))
                said = drift(
                    suite.name, read_responses(before / "responses.jsonl"), read_responses(after / "responses.jsonl")
                )
                if said:
                    case.notes.append(said)
                continue
            row = next((row for row in case.known if row.eval == suite.eval_digest), None)
            value, interval, n = _primary(after)
            if row is None or row.value is None or value is None:
                found.append(Verdict("equivalent", "impossible", (f"{suite.name}: no score is on file",)))
            else:
                found.append(judge_unpaired(suite.name, (row.value, row.ci95, row.n), (value, interval, n), settings))
        case.notes.append("one training seed a side: differences include training noise, which item pairs cannot show")
        return together("equivalent", found)

    def _tell_power(self, plan: Plan) -> None:
        """Say what the items can prove before anything is spent."""
        if self.options.level != "equivalent":
            return
        for suite in plan.suites:
            margin = suite.suite.suite.compare.margin
            declared = "no margin is declared" if margin is None else f"declared: {margin * 100:g}"
            said = f"{suite.name}: {suite.n_items} items confirm a margin of about"
            said += f" {provable_margin(suite.n_items) * 100:.1f} points with 90 % probability ({declared})"
            self.emit(Notice(level="info", code="provable_margin", message=said))

    async def _baselines(self, plan: Plan, runner: Runner) -> None:
        """Ask the arms without training anew, in folders of their own."""
        for baselines in plan.baselines:
            if baselines.suite.suite.baseline not in baselines.arms:
                continue
            folder = await score_again(plan, baselines, runner)
            arm = str(baselines.suite.suite.baseline)
            grades = read_grades(folder / "grades.jsonl")
            self.again.setdefault(baselines.suite.name, arm_values(baselines.suite.suite, grades, arm))

    async def conclusion(self, known: KnownResults) -> Subject:
        """Judge the sweep as a whole, from the new attempts of all its runs."""
        plan = self.plan
        sweep = plan.composed.experiment.sweep
        by = sweep.select.by if sweep else "valid_loss"
        if len(plan.runs) < 2:
            verdict = Verdict("conclusion", "impossible", ("the experiment has one run: there is no winner",))
            return Subject("", "", (verdict,))
        recorded = collect(plan)
        suite = _deciding(plan, by)
        old = [self._standing(case, case.attempt, by, suite) for case in self.cases]
        new = [self._standing(case, case.fresh, by, suite) for case in self.cases]
        old_base = _old_baseline(plan, suite)
        new_base = self.again.get(suite.name) if suite else None
        notes = []
        if recorded.pick is not None and all(case.attempt is not None for case in self.cases):
            before = claim_of(by, old, recorded.pick.label, old_base)
        elif known.pick:
            before = _known_claim(known, by, suite)
            notes.append("the claim is that of results.json: without run directories order and items are not compared")
        else:
            return Subject("", "", (Verdict("conclusion", "impossible", ("no conclusion is on file",)),))
        winner = _winner(plan, new, by)
        if winner is None:
            return Subject("", "", (Verdict("conclusion", "impossible", (f"no new run has a value of {by}",)),))
        now = claim_of(by, new, winner, new_base)
        same = old_base is not None and new_base is not None and old_base.by_id == new_base.by_id
        same = same and all(_same_items(a, b) for a, b in zip(old, new, strict=True))
        return Subject("", "", (judge_conclusion(before, now, new, new_base, same=same),), notes=tuple(notes))

    def _standing(self, case: Case, attempt: Attempt | None, by: str, suite: PlannedSuite | None) -> Standing:
        """Where a run stands by an attempt of it."""
        if attempt is None or case.directory is None:
            return Standing(case.label, None, None)
        loss = attempt.results.get("valid_loss")
        values = None
        mine = next((s for s in case.planned.suites if suite and s.name == suite.name), None) if case.planned else None
        if mine is not None:
            folder = case.directory.evals(mine.name, mine.eval_digest, attempt)
            if is_sealed(folder):
                _, _, metric = by.partition(".")
                grades = read_grades(folder / "grades.jsonl")
                name = metric if by != "valid_loss" and metric else mine.suite.primary
                values = arm_values(mine.suite, grades, mine.suite.trained_arms[0], name)
        if by == "valid_loss":
            return Standing(case.label, loss, values)
        if values is None:
            return Standing(case.label, None, None)
        from ftspec.evals.metrics import estimate

        found = estimate(values, draws=1).value
        sign = -1.0 if values.metric.direction == "higher" else 1.0
        return Standing(case.label, None if found is None else sign * found, values)

    async def _transfer(self) -> None:
        """Train and score every open case on another provider, as a run of its own, and compare."""
        name = self.options.provider
        own = any((folder / "provider" / f"{name}.yaml").is_file() for folder in _conf_folders(self.there))
        chosen = f"provider={name}" if own else f"provider.profile={name}"
        for case in self._open():
            assert case.planned is not None
            plan = make_plan(
                self.there, self.plan.name, (*case.planned.point.overrides, chosen, *self.options.overrides)
            )
            self._tell_power(plan)
            check_budget(plan, RunOptions(yes=self.options.yes, accept_unknown=self.options.accept_unknown))
            directories = record_runs(plan)
            run = plan.runs[0]
            async with _runner(self.there, plan, self.emit) as runner:
                directory = directories[run.train_digest]
                trained = await ensure_trained(run, directory, runner.connection(run), self.there, self.emit)
                await score_run(run, directory, trained.attempt, runner)
            case.notes.append(f"a transfer to {name}: another training ({run.train_digest[7:19]}), not a reproduction")
            found = [self._transferred(case, suite, directory, trained.attempt) for suite in run.suites]
            verdict = together("equivalent", found)
            case.fresh = trained.attempt
            case.verdicts.append(dataclasses.replace(verdict, transfer=True))

    def _transferred(self, case: Case, suite: PlannedSuite, directory: RunDirectory, attempt: Attempt) -> Verdict:
        assert case.planned is not None
        mine = next((s for s in case.planned.suites if s.name == suite.name), None)
        after = directory.evals(suite.name, suite.eval_digest, attempt)
        if mine is None or mine.eval_digest != suite.eval_digest:
            return Verdict("equivalent", "differs", (f"{suite.name}: scored otherwise there",))
        settings = mine.suite.suite.compare
        if case.directory is not None and case.attempt is not None:
            before = case.directory.evals(mine.name, mine.eval_digest, case.attempt)
            if is_sealed(before):
                old, new = _measured(mine, before, "recorded"), _measured(suite, after, "there")
                return judge_equivalent(suite.name, old, new, settings)
        row = next((row for row in case.known if row.eval == mine.eval_digest), None)
        value, interval, n = _primary(after)
        if row is None or row.value is None or value is None:
            return Verdict("equivalent", "impossible", (f"{suite.name}: no score is on file",))
        return judge_unpaired(suite.name, (row.value, row.ci95, row.n), (value, interval, n), settings)


def _inputs(case: Case) -> Verdict:
    """Compare rendered files and the create-job request with what was recorded."""
    run = case.planned
    assert run is not None
    told = []
    if case.directory is not None:
        recorded = case.directory.facts["data"]
        for role in ("train", "valid", "test"):
            before, after = (recorded.get(role) or {}).get("sha256"), run.prepared.parts.get(role)
            if before != (after.sha256 if after else None):
                told.append(f"{role} file {after.sha256[:12] if after else 'missing'}, not {str(before)[:12]}")
    elif case.locked is not None and case.locked.data != run.data_digest:
        told.append("the rendered files differ")
    request = _recorded_request(case.attempt)
    if request is not None and request != (now := _normalised_request(run)):
        told.append(f"the create-job request differs: normalised sha256 {now[:12]}, not {request[:12]}")
    if told:
        return Verdict("inputs", "differs", tuple(told))
    same = "the same files and the same request" if request is not None else "the same files (no request is recorded)"
    return Verdict("inputs", "reproduced", (same,))


def _recorded_request(attempt: Attempt | None) -> str | None:
    if attempt is None:
        return None
    found = [r for r in read_log(attempt.path / "requests.jsonl") if r["record"] == "request" and r["of"] == "job"]
    return str(found[-1]["normalised_sha256"]) if found else None


def _normalised_request(run: PlannedRun) -> str:
    """Build the body as a new attempt would send it; ids, suffix and metadata fall out of the digest."""
    experiment = run.point.experiment
    valid = run.prepared.parts.get("valid")
    body = job_body(
        load_profile(experiment.provider.profile),
        model=experiment.model,
        method=experiment.method.type,
        hyperparameters=canonical_hyperparameters(experiment.hyperparameters.model_dump()),
        seed=experiment.seed,
        suffix=experiment.suffix,
        metadata=dict(experiment.metadata),
        training_file="train",
        validation_file="valid" if valid else None,
        identity={KEY: "0" * 32, ATTEMPT: "none", TRAIN: run.train_digest},
    )
    files = {"train": run.prepared.parts["train"].sha256} | ({"valid": valid.sha256} if valid else {})
    return normalised_sha256(body, files)


@asynccontextmanager
async def _runner(there: Elsewhere, plan: Plan, emit: Emit) -> AsyncIterator[Runner]:
    """Open the plan's provider; answers are never taken from the cache, since they are to be given again."""
    provider = plan.runs[0].point.experiment.provider
    async with connect(provider, state=there.embedded) as connection:
        keys = {repr(run.point.experiment.provider) for run in plan.runs}
        yield Runner(there, dict.fromkeys(keys, connection), emit, ResponseCache(None))


def _like(model: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(model, pattern)


def _conf_folders(project: Project) -> Iterable[Any]:
    from ftspec.compose import builtin_conf

    return project.conf, builtin_conf()


def _weights(attempt: Attempt, source: str) -> Weights:
    env = read_json(attempt.path / "env.json")
    return Weights(attempt.results.get("weights_digest"), env.get("numerics"), source)


def _measured(suite: PlannedSuite, folder: Any, name: str) -> Any:
    grades = read_grades(folder / "grades.jsonl")
    return measured(suite.suite, grades, suite.suite.trained_arms[0], eval_digest=suite.eval_digest, name=name)


def _primary(folder: Any) -> tuple[float | None, tuple[float, float] | None, int]:
    scores = read_scores(folder / "scores.json")
    found = next(iter(scores.arms.values())).metrics[scores.primary]
    interval = (found.low, found.high) if found.low is not None and found.high is not None else None
    return found.value, interval, found.n


def _deciding(plan: Plan, by: str) -> PlannedSuite | None:
    """The suite that the rule goes by, or the first one where it goes by the loss."""
    name = by.partition(".")[0]
    return next((s for s in plan.suites if s.name == name), plan.suites[0] if plan.suites else None)


def _old_baseline(plan: Plan, suite: PlannedSuite | None) -> Values | None:
    for baselines in plan.baselines:
        if suite is not None and baselines.suite.name == suite.name and baselines.done:
            arm = baselines.suite.suite.baseline
            if arm in baselines.arms:
                return arm_values(baselines.suite.suite, read_grades(baselines.folder / "grades.jsonl"), arm)
    return None


def _known_claim(known: KnownResults, by: str, suite: PlannedSuite | None) -> Any:
    from ftspec.workflows.judge import Claim

    winner = known.pick[0].run
    row = next((r for r in known.results if r.run == winner and (suite is None or r.suite == suite.name)), None)
    base = next((b for b in known.baselines if b.compared and suite is not None and b.suite == suite.name), None)
    sign = None
    if row is not None and base is not None and row.value is not None and base.value is not None:
        sign = (row.value > base.value) - (row.value < base.value)
    return Claim(winner, by, (), sign)


def _winner(plan: Plan, standings: Sequence[Standing], by: str) -> str | None:
    """The declared rule applied to new values, ties settled as `run` settles them."""
    sweep = plan.composed.experiment.sweep
    tie = sweep.select.tie if sweep else "fewest_epochs"
    order = {run.label: (run.n_epochs if tie == "fewest_epochs" else 0, i) for i, run in enumerate(plan.runs)}
    ranked = [s for s in standings if s.rank is not None]
    return min(ranked, key=lambda s: (s.rank, order[s.label])).label if ranked else None


def _same_items(one: Standing, other: Standing) -> bool:
    if one.values is None or other.values is None:
        return one.values is other.values and one.rank == other.rank
    return one.rank == other.rank and dict(one.values.by_id) == dict(other.values.by_id)


def errors_as_verdict(error: FtspecError) -> str:
    """Return the first problem of an error as a sentence."""
    return str(error.problems[0])
