"""What can be wrong with a filled-in suite, before anything is asked."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ftspec.data.lacking import nearest, what_is_there
from ftspec.data.template import MissingFieldError, Place, fields
from ftspec.evals.graders.patterns import compiled
from ftspec.evals.items import Item
from ftspec.evals.metrics import metric_names
from ftspec.evals.values import places
from ftspec.spec.errors import Problems, SpecError
from ftspec.spec.suite import Arm, LabelGrader, RegexGrader, Suite

KNOWN_MODELS = ("@base", "@run", "@majority")
_TEMPLATES = ("input", "reference", "expected")  # keys of graders


def check_suite(name: str, suite: Suite, references: Mapping[str, int] | None, problems: Problems) -> None:
    """Add every problem of a filled-in suite; see docs of each check. `references` None: no labels are known."""
    path = f"evals.{name}"
    _check_arms(path, suite, references, problems)
    _check_baseline(path, suite, problems)
    for key, grader in suite.graders.items():
        _check_grader(f"{path}.graders.{key}", grader, references is not None, problems)
    _check_metrics(path, suite, problems)
    for i, message in enumerate(suite.request.messages or ()):
        _check_template(f"{path}.request.messages[{i}].content", str(message.content), ("item", "arm"), problems)
    if suite.samples > 1 and suite.request.params.temperature == 0:
        problems.add(
            "equal_samples",
            f"{suite.samples} samples at temperature 0 are {suite.samples} times the same answer",
            path=f"{path}.samples",
            fix="set request.params.temperature above 0",
            severity="warning",
        )


def _check_arms(path: str, suite: Suite, references: Mapping[str, int] | None, problems: Problems) -> None:
    arms = suite.arms or {}
    if not arms:
        problems.add("empty_suite", "the suite has no arms: nothing is asked", path=f"{path}.arms")
        return
    for key, arm in arms.items():
        _check_arm(f"{path}.arms.{key}", arm, suite, references, problems)
    if not any(arm.model == "@base" for arm in arms.values()):
        problems.add(
            "no_base_arm",
            "no arm asks the base model, so nothing shows what training gained",
            path=f"{path}.arms",
            fix='add an arm `base: {model: "@base"}`',
            severity="warning",
        )


def _check_arm(path: str, arm: Arm, suite: Suite, references: Mapping[str, int] | None, problems: Problems) -> None:
    if not arm.model.strip():
        problems.add("arm_model", "an arm needs a model", path=f"{path}.model", fix='"@base", "@run" or a model id')
    elif arm.model.startswith("@") and arm.model not in KNOWN_MODELS:
        problems.add(
            "arm_model", f"unknown model {arm.model!r}", path=f"{path}.model", fix=_near(arm.model, KNOWN_MODELS)
        )
    elif arm.model == "@majority":
        if not any(isinstance(grader, LabelGrader) for grader in suite.graders.values()):
            problems.add("no_majority", "`@majority` needs a grader of type label", path=f"{path}.model")
        elif references is not None and not references:
            problems.add("no_majority", "`@majority` needs labels in the training part", path=f"{path}.model")
    if arm.prompt == "":
        problems.add(
            "empty_prompt",
            "an empty prompt is not an absent one: some chat templates insert a text of their own",
            path=f"{path}.prompt",
            fix="write `prompt: null` to leave the message out",
        )


def _check_baseline(path: str, suite: Suite, problems: Problems) -> None:
    arms, baseline = suite.arms or {}, suite.compare.baseline
    if baseline is not None and baseline not in arms:
        problems.add(
            "unknown_arm", f"no arm {baseline!r}", path=f"{path}.compare.baseline", fix=_near(baseline, list(arms))
        )
    elif baseline is None and len(arms) > 1:
        problems.add(
            "no_baseline",
            "no arm is the natural baseline, so arms are not compared",
            path=f"{path}.compare",
            fix="set compare.baseline to one of: " + ", ".join(arms),
            severity="warning",
        )


def _check_grader(path: str, grader: Any, labels_known: bool, problems: Problems) -> None:
    for name in _TEMPLATES:
        if (template := getattr(grader, name, None)) is not None:
            _check_template(f"{path}.{name}", template, ("item", "sample"), problems)
    if isinstance(grader, LabelGrader):
        _check_labels(path, grader, labels_known, problems)
    pattern = grader.pattern if isinstance(grader, RegexGrader | LabelGrader) else None
    if pattern is not None:
        try:
            compiled(pattern)
        except ValueError as error:
            problems.add("pattern", str(error), path=f"{path}.pattern")


def _check_labels(path: str, grader: LabelGrader, labels_known: bool, problems: Problems) -> None:
    if not grader.labels and (labels_known or grader.labels is not None):
        problems.add(
            "no_labels",
            "no labels: the training part has no answers to take them from",
            path=f"{path}.labels",
            fix="list them: `labels: [a, b]`",
        )
    labels = grader.labels or []
    names = [label.casefold() for label in labels] if grader.match != "exact" else labels
    twice = sorted({label for label, name in zip(labels, names, strict=True) if names.count(name) > 1})
    if twice:
        problems.add("labels_alike", f"labels that cannot be told apart: {', '.join(twice)}", path=f"{path}.labels")
    if (grader.match == "pattern") != (grader.pattern is not None):
        problems.add("label_pattern", "`match: pattern` and `pattern` go together", path=f"{path}.match")


def _check_metrics(path: str, suite: Suite, problems: Problems) -> None:
    known = metric_names(suite.graders)
    asked = [("primary", suite.metrics.primary or ""), *((f"also[{i}]", m) for i, m in enumerate(suite.metrics.also))]
    for place, metric in asked:
        if metric not in known:
            grader = metric.split(".")[0]
            what = f"no metric {metric!r}" if grader in suite.graders else f"no grader {grader!r}"
            problems.add("unknown_metric", what, path=f"{path}.metrics.{place}", fix=_near(metric, known))


def _check_template(path: str, template: str, roots: Sequence[str], problems: Problems) -> None:
    try:
        asked = fields(template)
    except SpecError as error:
        problem = error.problems[0]
        problems.add(problem.code, problem.message, path=path, fix=problem.fix)
        return
    for place in asked:
        root = place.split(".")[0].split("[")[0]
        if root not in roots:
            named = " or ".join(f"{known}.x" for known in roots)
            problems.add("template_root", f"unknown name {root!r}", path=path, fix=f"write {{{{ {named} }}}}")


def check_items(name: str, suite: Suite, items: Sequence[Item], problems: Problems) -> None:
    """Add every field that a template asks for and no item has: each answer would end in an error."""
    for path, template in _asked_of_items(f"evals.{name}", suite) if items else ():
        try:
            asked = places(template)
        except SpecError:
            continue  # told by `check_suite`
        for place in asked:
            if place.steps[0] != "item" or any(_holds(place, item) for item in items):
                continue
            scope = {"item": items[0].fields}
            near = nearest(place, scope)
            message = f"no item has {place.path} ({what_is_there(place, scope)})"
            problems.add("missing_field", message, path=path, fix=f"did you mean {near}?" if near else "")


def _asked_of_items(path: str, suite: Suite) -> Iterator[tuple[str, str]]:
    if suite.request.messages is None:
        yield f"{path}.request.messages", "{{ item.messages }}"
    for i, message in enumerate(suite.request.messages or ()):
        yield f"{path}.request.messages[{i}].content", str(message.content)
    for key, grader in suite.graders.items():
        for name in _TEMPLATES:
            if (template := getattr(grader, name, None)) is not None:
                yield f"{path}.graders.{key}.{name}", template


def _holds(place: Place, item: Item) -> bool:
    try:
        place.find({"item": item.fields})
    except MissingFieldError:
        return False
    return True


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
