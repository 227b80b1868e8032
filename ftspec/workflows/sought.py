"""What a side of a comparison means: a run by any of its names, an arm without training, or a winner."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ftspec.compose import Project
from ftspec.evals.defaults import BASE, RUN
from ftspec.evals.grade import read_grades
from ftspec.evals.scores import Scores, read_scores
from ftspec.runs.directory import RunDirectory
from ftspec.runs.names import NamedRun, other_name, read_names, several
from ftspec.runs.planned import Name
from ftspec.runs.seal import is_sealed
from ftspec.spec.digests import short
from ftspec.spec.errors import FtspecError, UsageError
from ftspec.workflows.plan import Plan, PlannedSuite, make_plan
from ftspec.workflows.results import collect
from ftspec.workflows.reuse import refuse_changed
from ftspec.workflows.scored import ScoredSuite, scored_baselines
from ftspec.workflows.stored import stored_suite

WINNER = "*"


@dataclass(frozen=True)
class Side:
    """One of the two: its name for people, and its scores on each suite with the arm that stands for it.

    `lies` is what a run is called where it lies, empty where that is `name`.
    """

    name: str
    scored: tuple[tuple[ScoredSuite, str], ...]
    lies: str = ""

    def of(self, suite: str) -> tuple[tuple[ScoredSuite, str], ...]:
        """Its scores on one suite; several where the suite changed, or a sweep changes what it asks."""
        return tuple(found for found in self.scored if found[0].suite.name == suite)


class Sought:
    """Looks sides up; each experiment is planned when it is first needed."""

    def __init__(self, project: Project, experiments: Sequence[str]) -> None:
        self._project, self._experiments = project, experiments
        self._names = read_names(project.runs)
        self._plans: dict[str, Plan] = {}

    def sides(self, *texts: str) -> list[Side]:
        """Find what each text means. Raises UsageError."""
        runs = [self._run(text) for text in texts]
        homes = [text.rpartition("/")[0] for text in texts]
        homes += [name.experiment for run in runs if run is not None for name in run.names]
        made = [
            self._of_run(run, self._name_of(run, text)) if run is not None else None
            for text, run in zip(texts, runs, strict=True)
        ]
        others = [one for side in made if side is not None for one, _ in side.scored]
        return [side or self._without_training(text, homes, others) for text, side in zip(texts, made, strict=True)]

    def _plan(self, name: str) -> Plan:
        """Plan an experiment; from then on its runs are called as it stands, not as its lock says."""
        if name not in self._plans:
            plan = self._plans[name] = make_plan(self._project, name)
            self._names = self._names.with_plan(name, {run.label: run.train_digest for run in plan.runs})
        return self._plans[name]

    def _planned(self, experiments: Iterable[str]) -> Iterator[Plan]:
        """Yield the plans of those that are there and compose: the runs of the others are compared all the same."""
        there = self._project.experiment_names()
        for name in dict.fromkeys(experiments):
            with suppress(FtspecError):
                if name in there:
                    yield self._plan(name)

    def _run(self, text: str) -> NamedRun | None:
        """Return the run that is meant, None where it is no run's name.

        A label means the run of the experiment as it stands, and is refused where an earlier one has it too.
        """
        named = [name.experiment for run in self._names.find(text) for name in run.called(text)] or [text]
        planned = [plan.name for plan in self._planned(named)]
        found = self._names.meant(text)
        if len(found) > 1:
            found = [run for run in found if any(name.experiment in self._experiments for name in run.names)] or found
        undone = [run for run in self._names.all if run.directory is None and run not in found]
        meant = ((run, (*run.called(text), *run.within(text))) for run in undone)
        found += [run for run, names in meant if any(name.experiment in planned for name in names)]
        if len(found) > 1:
            raise several(text, found)
        return found[0] if found else None

    def _name_of(self, run: NamedRun, text: str) -> Name:
        """Return the name that was given, else the place's, or that of an experiment that was asked for."""
        mine = (name for name in run.names if name.experiment in self._experiments)
        return (*run.called(text), *run.within(text), *mine, *run.names)[0]

    def _of_run(self, run: NamedRun, name: Name) -> Side:
        directory = run.directory
        attempt = directory.finished() if directory is not None else None
        if directory is None or attempt is None:
            raise _no_scores(name.label, name.experiment)
        suites = {s.eval_digest: s for plan in self._planned(one.experiment for one in run.names) for s in plan.suites}
        found = []
        gone: list[str] = []
        folders = directory.sealed_evals(attempt)
        refuse_changed(folders, self._project.root)
        for folder in folders:
            scores = read_scores(folder / "scores.json")
            suite = suites.get(scores.eval) or self._stored(directory, scores, folder)
            if suite is None:
                gone.append(scores.suite)
                continue
            one = ScoredSuite(suite, folder, scores, read_grades(folder / "grades.jsonl"))
            if one.tuned is not None:
                found.append((one, one.tuned))
        if gone and not found:
            said = f"{', '.join(gone)}: no experiment asks it now as it was then, and its items are not in the store"
            raise UsageError("items_gone", said, file=str(directory.path), fix="ftspec verify says what is missing")
        if not found:
            raise _no_scores(name.label, name.experiment)
        found.sort(key=lambda pair: pair[0].scores.eval not in suites)  # what is asked today goes first
        return Side(name.label, tuple(found), other_name(directory, name.experiment, name.label))

    def _stored(self, run: RunDirectory, scores: Scores, folder: Path) -> PlannedSuite | None:
        suite = stored_suite(run, folder, scores, self._project.store)
        if suite is None:
            return None
        base = run.facts["base"]
        return PlannedSuite(scores.suite, suite, scores.eval, str(base.get("requested")), str(base.get("model")))

    def _without_training(self, text: str, homes: Sequence[str], others: Sequence[ScoredSuite]) -> Side:
        """Find an arm or a winner, in the other side's experiments before any other."""
        experiment, _, rest = text.rpartition("/")
        there = self._project.experiment_names()
        if experiment in there or self._names.is_experiment(experiment):
            wanted, places, homes = rest, [experiment], [experiment]
        else:
            wanted = text
            places = [name for name in dict.fromkeys([*homes, *self._experiments]) if name in self._experiments]
        kept = [(one, wanted) for one in self._kept(wanted, homes, others)]
        arms: list[str] = []
        for name in places:
            if name not in there:
                continue
            plan = self._plan(name)
            if wanted == WINNER:
                return self._winner(plan)
            mine = [arm for baselines in plan.baselines for arm in baselines.arms]
            if wanted in mine:
                found = [(one, wanted) for one in scored_baselines(plan).values() if wanted in one.scores.arms]
                if not found and not kept:
                    raise _no_scores(wanted, name)
                return Side(wanted, (*found, *kept))
            if any(run.label == wanted for run in plan.runs):
                raise _no_scores(wanted, name)
            arms += mine
        if kept:
            return Side(wanted, tuple(kept))
        raise self._names.unknown(text, [*dict.fromkeys(arms), WINNER], code="unknown_arm")

    def _kept(self, arm: str, homes: Iterable[str], others: Iterable[ScoredSuite]) -> Iterator[ScoredSuite]:
        """Yield an arm's scores on the very suites of the other side, whether an experiment plans them or not."""
        for one in others:
            asked = one.suite.suite.arms.get(arm)
            for home in dict.fromkeys(homes) if asked is not None and asked.model != RUN else ():
                place = self._project.runs / home / "baselines"
                for folder in sorted(place.glob(f"{one.suite.name}.{short(one.suite.eval_digest)}*")):
                    found = self._arm_in(folder, arm, one, base=asked is not None and asked.model == BASE)
                    if found is not None:
                        yield found

    def _arm_in(self, folder: Path, arm: str, one: ScoredSuite, *, base: bool) -> ScoredSuite | None:
        if not is_sealed(folder):
            return None
        refuse_changed([folder], self._project.root)
        scores = read_scores(folder / "scores.json")
        result = scores.arms.get(arm)
        if scores.eval != one.suite.eval_digest or result is None or (base and result.model != one.suite.served_model):
            return None
        return ScoredSuite(one.suite, folder, scores, read_grades(folder / "grades.jsonl"))

    def _winner(self, plan: Plan) -> Side:
        results = collect(plan)
        label = results.pick.label if results.pick else plan.runs[0].label if len(plan.runs) == 1 else None
        train = next((run.train_digest for run in plan.runs if run.label == label), None)
        found = self._names.find(train) if train is not None else []
        if label is None or not found:
            fix = f"train its runs first: ftspec run {plan.name}"
            raise UsageError("no_winner", f"{plan.name} has no winner yet", fix=fix)
        return self._of_run(found[0], Name(plan.name, label))


def _no_scores(name: str, experiment: str) -> UsageError:
    return UsageError("no_scores", f"{name} of {experiment} has no scores yet", fix=f"ftspec run {experiment}")
