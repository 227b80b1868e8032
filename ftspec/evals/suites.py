"""A suite with everything filled in: arms, labels, primary metric, items and shots, before anything is hashed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftspec.evals.checks import check_items, check_suite
from ftspec.evals.defaults import BASE, MAJORITY, RUN, commonest, fill_arms, fill_labels, fill_metrics, inline
from ftspec.evals.items import Item, ItemsFile, Part, items_digest, items_of_file, items_of_part, prompt_key, read_rows
from ftspec.evals.shots import Message, choose
from ftspec.spec.digests import without_neutral
from ftspec.spec.errors import Problem, Problems, UnsafeError
from ftspec.spec.suite import Arm, Suite
from ftspec.storage import sha256_file

# Fields that graders got after the first release, with the value that means "as before": left out of digests.
NEUTRAL: dict[str, Any] = {}


@dataclass(frozen=True)
class ResolvedSuite:
    """A suite ready to be planned, asked and graded. `suite` is spelt out in full and reads no file any more.

    `shots` holds each arm's examples; `majority` is the commonest training label; `problems` what is wrong or odd.
    `file` is where the items came from, None for rows of the experiment's own data.
    """

    name: str
    suite: Suite
    items: tuple[Item, ...] = field(repr=False)
    items_sha256: str
    shots: Mapping[str, tuple[list[Message], ...]] = field(repr=False)
    majority: str | None
    problems: tuple[Problem, ...] = ()
    file: ItemsFile | None = None

    @property
    def arms(self) -> dict[str, Arm]:
        """All arms in order, top-level baselines included."""
        return dict(self.suite.arms or {})

    @property
    def trained_arms(self) -> tuple[str, ...]:
        """Names of the arms that ask the run's tuned model."""
        return tuple(name for name, arm in self.arms.items() if arm.model == RUN)

    @property
    def baseline_arms(self) -> tuple[str, ...]:
        """Names of the arms that need no training; asked once, before any training."""
        return tuple(name for name, arm in self.arms.items() if arm.model != RUN)

    @property
    def primary(self) -> str:
        """`<grader>.<metric>` that decides comparisons."""
        return self.suite.metrics.primary or ""

    @property
    def baseline(self) -> str | None:
        """Name of the arm that others are compared with."""
        return self.suite.compare.baseline

    @property
    def clusters(self) -> dict[str, str] | None:
        """Item id to cluster; None where the suite declares none."""
        if self.suite.data.cluster is None:
            return None
        return {item.id: item.cluster for item in self.items if item.cluster is not None}

    def model_of(self, arm: str, *, base: str, run: str | None = None) -> str | None:
        """Return the model id an arm asks; None for `@majority`, which asks none, and for `@run` before training."""
        model = self.arms[arm].model
        return {BASE: base, RUN: run, MAJORITY: None}.get(model, model)


def resolve(
    name: str,
    suite: Suite,
    *,
    baselines: Mapping[str, Arm] | None = None,
    references: Mapping[str, int] | Iterable[tuple[str, int]] = (),
    items: Part | None = None,
    train: Part | None = None,
    root: Path | None = None,
    read: Callable[[str], str] | None = None,
) -> ResolvedSuite:
    """Fill every default of a suite and load its items and shots.

    `references` are the distinct labels of the training part with their counts; `items` the held-out part named by
    `data.part`; `train` the training part (shots); `root` the folder of `data.path`; `read` returns the text of a
    `{file: ...}` that is still in the suite. What is wrong with the suite stands in `problems`; where a data file
    cannot be read, DataError is raised with all of it, UnsafeError where one lies outside `root`.
    """
    problems = Problems()
    references = dict(references)
    suite = fill_arms(suite, baselines or {}, references, problems)
    suite = inline(name, suite, read, problems)
    suite = fill_metrics(fill_labels(suite, references))
    found, file = problems.try_to(lambda: _load(name, suite, items, root, problems)) or ((), None)
    check_suite(name, suite, references, problems)
    check_items(name, suite, found, problems)
    if problems.kinds and (error := problems.error()) is not None:
        raise error
    shots = {} if problems.errors else _choose_shots(name, suite, found, train, problems)
    return ResolvedSuite(
        name=name,
        suite=suite,
        items=found,
        items_sha256=items_digest(found),
        shots=shots,
        majority=commonest(references),
        problems=tuple(problems.found),
        file=file,
    )


def examine(
    name: str, suite: Suite, *, baselines: Mapping[str, Arm], root: Path, parts: Collection[str] | None
) -> Problems:
    """Return what is wrong with a suite while the experiment's own data cannot be used.

    `parts` are the parts that its split makes, None where that is not known either.
    """
    problems = Problems()
    suite = fill_metrics(inline(name, fill_arms(suite, baselines, None, problems), None, problems))
    path, part = f"evals.{name}.data", suite.data.part or "test"
    if suite.data.path is not None:
        found, _ = problems.try_to(lambda: _load(name, suite, None, root, problems)) or ((), None)
        check_items(name, suite, found, problems)
    elif parts is not None and part not in parts:
        problems.add("empty_suite", f"the data has no {part} part", path=path, fix=_split_fix(part))
    check_suite(name, suite, None, problems)
    return problems


def examine_items(name: str, suite: Suite, root: Path) -> Problems:
    """Return what is wrong with the items of a suite whose other keys are broken."""
    problems = Problems()
    if suite.data.path is not None:
        problems.try_to(lambda: _load(name, suite, None, root, problems))
    return problems


def _load(
    name: str, suite: Suite, part: Part | None, root: Path | None, problems: Problems
) -> tuple[tuple[Item, ...], ItemsFile | None]:
    data, path = suite.data, f"evals.{name}.data"
    kept: ItemsFile | None = None
    if data.path is not None:
        if data.part is not None:
            problems.add("items_twice", "items come from `part` or from `path`, not both", path=path)
        file = _inside(root or Path(), data.path, f"{path}.path")
        if not file.is_file():
            problems.add("no_file", f"there is no file {data.path}", path=f"{path}.path")
            return (), None
        kept = ItemsFile(data.path, sha256_file(file))
        found = items_of_file(file, id=data.id, cluster=data.cluster, shown=data.path)
    elif part is None:
        problems.add("empty_suite", f"the data has no {data.part or 'test'} part", path=path, fix=_split_fix(data.part))
        return (), None
    else:
        found = items_of_part(part, cluster=data.cluster)
    if not found:
        fix = "" if data.path else _split_fix(data.part)
        problems.add("empty_suite", f"suite {name} has no items", path=path, fix=fix)
    if found and data.cluster is not None and not any(item.cluster for item in found):
        problems.add("no_cluster", f"no item has a field {data.cluster!r}", path=f"{path}.cluster")
    return found, kept


def _inside(root: Path, relative: str, path: str) -> Path:
    """Return a file of the project. Raises UnsafeError where it lies outside, links followed."""
    file = root / relative
    if not file.resolve().is_relative_to(root.resolve()):
        fix = "write a path relative to the project"
        raise UnsafeError("outside_project", f"{relative!r} lies outside the project", path=path, fix=fix)
    return file


def _split_fix(part: str | None) -> str:
    return f"set dataset.split.{part or 'test'}, for example `{part or 'test'}: 100`"


def _choose_shots(
    name: str, suite: Suite, items: tuple[Item, ...], train: Part | None, problems: Problems
) -> dict[str, tuple[list[Message], ...]]:
    from ftspec.evals.requests import messages_of

    wanted = {key: arm.shots for key, arm in (suite.arms or {}).items() if arm.shots is not None}
    if not wanted:
        return {}
    plain = Arm(model=BASE)
    exclude = {prompt_key(messages_of(suite.request, plain, item)) for item in items if _askable(suite, plain, item)}
    chosen: dict[tuple[int, str], tuple[list[Message], ...]] = {}
    for key, shots in wanted.items():
        if (shots.k, shots.salt) not in chosen:
            rows = read_rows(train.path) if train is not None else ()
            chosen[shots.k, shots.salt] = choose(rows, shots.k, shots.salt, exclude=exclude)
        if len(chosen[shots.k, shots.salt]) < shots.k:
            problems.add(
                "few_shots",
                f"the training part has {len(chosen[shots.k, shots.salt])} rows for {shots.k} shots",
                path=f"evals.{name}.arms.{key}.shots",
                severity="warning",
            )
    return {key: chosen[shots.k, shots.salt] for key, shots in wanted.items()}


def _askable(suite: Suite, arm: Arm, item: Item) -> bool:
    from ftspec.data.template import MissingFieldError
    from ftspec.evals.requests import messages_of

    try:
        messages_of(suite.request, arm, item)
    except (MissingFieldError, ValueError):
        return False
    return True


def projection(resolved: ResolvedSuite) -> dict[str, Any]:
    """Return what decides scores, as a plain value for the `eval` digest.

    In: item bytes, request, sampling, `samples`, arms with prompts and rendered shots, graders, metrics. Not in:
    `compare`, the error limit, names of parts and files, and which models `@base` and `@run` are, so that tuned models
    of several bases, and of several hosts, are comparable on one suite.
    """
    suite = resolved.suite
    arms: dict[str, Any] = {}
    for key, arm in resolved.arms.items():
        arms[key] = {"model": arm.model}
        if "prompt" in arm.model_fields_set and (arm.prompt is not None or not suite.request.messages):
            arms[key]["prompt"] = arm.prompt
        if arm.shots is not None:
            arms[key]["shots"] = [list(shot) for shot in resolved.shots.get(key, ())]
        if arm.model == MAJORITY:
            arms[key]["answer"] = resolved.majority
    messages = suite.request.messages
    return {
        "items": resolved.items_sha256,
        "messages": [_plain(m) for m in messages] if messages else "{{ item.messages }}",
        "params": _plain(suite.request.params),
        "parse": suite.request.parse,
        "samples": suite.samples,
        "arms": arms,
        "graders": {key: without_neutral(_plain(grader), NEUTRAL) for key, grader in suite.graders.items()},
        "metrics": _plain(suite.metrics),
    }


def _plain(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def to_dict(resolved: ResolvedSuite) -> dict[str, Any]:
    """Return the suite spelt out, as it is written to `suite.yaml`; it is itself a valid suite."""
    suite = _plain(resolved.suite)
    for key, arm in resolved.arms.items():
        if "prompt" in arm.model_fields_set:
            suite["arms"][key]["prompt"] = arm.prompt
    return suite
