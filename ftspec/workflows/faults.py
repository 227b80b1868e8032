"""Everything that is wrong with an experiment that does not compose: its own mistakes, and those of its sound parts.

Nothing is told that may only follow from another mistake: what depends on a broken key is not looked at.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ftspec.compose import Part, Project, Remains
from ftspec.compose.wording import keys as keys_of
from ftspec.data import Prepared, RowRules
from ftspec.providers.profiles import check
from ftspec.spec.errors import FtspecError, Problem, Problems, SpecError, in_order, kind_of, shortened
from ftspec.spec.lint import LINTS, relevel, unknown_lints
from ftspec.workflows.ingredients import DataSets, Suites
from ftspec.workflows.keys import written_keys
from ftspec.workflows.once import Once
from ftspec.workflows.prepared import facts_of

# What the making of rows depends on; weights count for rows that are read as they are: theirs may have names of their
# own there, and declare fields.
_MAKING = ("messages", "extract", "replace", "tools", "bake", "metadata", "split.by")
_READY = ("weights.field", "weights.rules")
_MASKS = ("weights", "provider", "model", "method")
_WHOLE = ("dataset", *_MASKS)


def faults(project: Project, remains: Remains) -> FtspecError:
    """Return one error of everything that is known to be wrong, in the order of files and lines."""
    keys = list(written_keys(project, remains))
    told = Problems([*remains.problems, *keys], [remains.kind])
    found: dict[Problem, None] = {}
    read = {keys_of(problem.path) for problem in remains.problems}
    looking = _Looking(project, None if keys else project.cache)
    for part in remains.parts:
        lint = part.point.experiment.lint
        for problem in (*unknown_lints(lint), *relevel(looking.at(part), lint)):
            # A level that cannot be read may have lowered a lint.
            if problem.severity == "error" and not (part.touched("lint") and problem.code in LINTS):
                # A text's file that is not there was told when the text was read.
                if problem.path.endswith(".file") and keys_of(problem.path)[:-1] in read:
                    continue
                found[remains.place(problem, part)] = None
    told.found += found
    told.kinds += looking.problems.kinds
    return kind_of(told.kinds).many(shortened(in_order(dict.fromkeys(told.errors))))


class _Looking:
    """Looks at the parts of one experiment, each data set and suite once."""

    def __init__(self, project: Project, cache: Path | None) -> None:
        self.problems = Problems()
        once = Once(self.problems)
        self._data = DataSets(project, cache, once)
        self._suites = Suites(project.root, cache, once)

    def at(self, part: Part) -> list[Problem]:
        """Return what is new with a part."""
        before = len(self.problems.found)
        provided = list(_provider(part))
        self._look_at_suites(part, self._look_at_data(part))
        return [*provided, *self.problems.found[before:]]

    def _look_at_data(self, part: Part) -> Prepared | None:
        if not part.sources:
            return None
        if not part.touched(*_WHOLE):
            return self._data.of(part.point)
        ready = part.point.experiment.dataset.messages is None
        needed = (*(f"dataset.{key}" for key in _MAKING), *(_READY if ready else ()))
        mapped = not part.touched(*needed)
        limits = _limits(part) if mapped and not part.touched(*_MASKS) else None
        self._data.examine(part.point, mapped=mapped, limits=limits)
        return None

    def _look_at_suites(self, part: Part, prepared: Prepared | None) -> None:
        experiment = part.point.experiment
        whole = {name: suite for name, suite in experiment.evals.items() if not part.touched(f"evals.{name}")}
        if part.touched("baselines"):
            whole = {}
        point = replace(part.point, experiment=experiment.model_copy(update={"evals": whole}))
        if prepared is not None:
            self._suites.of(point, prepared)
        else:
            self._suites.examine(point, parts_known=not part.touched("dataset.split"))
        for name in experiment.evals:
            if name not in whole and not part.touched(f"evals.{name}.data"):
                self._suites.examine_items(part.point, name)


def _limits(part: Part) -> RowRules | None:
    """Return what the provider takes as rows, None where there is no such provider."""
    try:
        return facts_of(part.point.experiment)[1]
    except SpecError:
        return None


def _provider(part: Part) -> Iterator[Problem]:
    """Yield what the provider's facts say of the keys that are well formed."""
    experiment = part.point.experiment
    if part.touched("provider"):
        return
    for problem in check(
        experiment.provider,
        experiment.model,
        experiment.hyperparameters,
        method=experiment.method.type,
        keep_until=experiment.keep_until,
    ):
        of_model = problem.code in ("unknown_model", "keep_until")
        if not part.touched(problem.path) and not (of_model and part.touched("model")):
            yield problem
