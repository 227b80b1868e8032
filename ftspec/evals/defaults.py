"""The defaults of a suite: what is left out is filled in here, before anything is hashed."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ftspec.evals.metrics import metrics_of
from ftspec.spec.errors import Problems
from ftspec.spec.model import FileRef
from ftspec.spec.suite import AnyGrader, Arm, LabelGrader, Shots, Suite

BASE, RUN, MAJORITY = "@base", "@run", "@majority"


def commonest(references: Mapping[str, int]) -> str | None:
    """Return the label with the highest count; of equal ones the first in code-point order."""
    return min(references, key=lambda label: (-references[label], label)) if references else None


def inline(name: str, suite: Suite, read: Callable[[str], str] | None, problems: Problems) -> Suite:
    """Put the text of files where `{file: ...}` stands; `read` returns the text of a file of the project."""

    def text(ref: Any, path: str) -> Any:
        if not isinstance(ref, FileRef):
            return ref
        if read is None:
            problems.add("file_ref", f"{ref.file} was not read", path=path)
            return ""
        return read(ref.file)

    request = suite.request
    if request.messages:
        path = f"evals.{name}.request.messages"
        filled = [
            m.model_copy(update={"content": text(m.content, f"{path}[{i}].content")})
            for i, m in enumerate(request.messages)
        ]
        request = request.model_copy(update={"messages": filled})
    if isinstance(request.params.tools, FileRef):
        tools = _tools(name, text(request.params.tools, f"evals.{name}.request.params.tools"), problems)
        request = request.model_copy(update={"params": request.params.model_copy(update={"tools": tools})})
    arms = suite.arms and {
        key: _with_prompt(arm, text(arm.prompt, f"evals.{name}.arms.{key}.prompt")) for key, arm in suite.arms.items()
    }
    return suite.model_copy(update={"request": request, "arms": arms})


def _with_prompt(arm: Arm, prompt: str | None) -> Arm:
    # An unset prompt stays unset: it leaves the item's own instructions alone, where null removes them.
    return arm.model_copy(update={"prompt": prompt}) if "prompt" in arm.model_fields_set else arm


def _tools(name: str, text: str, problems: Problems) -> Any:
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        path = f"evals.{name}.request.params.tools"
        problems.add("tools_json", f"the file holds no list of tools: {error}", path=path)
        return None


def fill_labels(suite: Suite, references: Mapping[str, int]) -> Suite:
    """Give label graders without `labels` the distinct labels of the training part, sorted."""
    graders: dict[str, AnyGrader] = {
        key: grader.model_copy(update={"labels": sorted(references)})
        if isinstance(grader, LabelGrader) and grader.labels is None
        else grader
        for key, grader in suite.graders.items()
    }
    return suite.model_copy(update={"graders": graders})


def fill_arms(
    suite: Suite, baselines: Mapping[str, Arm], references: Mapping[str, int] | None, problems: Problems
) -> Suite:
    """Fill the arms (base, few_shot, tuned, beside a label grader majority), baselines and `compare.baseline`.

    `references` None: the training part is not known, and may have labels.
    """
    if suite.arms is None:
        arms = {"base": Arm(model=BASE), "few_shot": Arm(model=BASE, shots=Shots()), "tuned": Arm(model=RUN)}
        if (references or references is None) and any(
            isinstance(grader, LabelGrader) for grader in suite.graders.values()
        ):
            arms["majority"] = Arm(model=MAJORITY)
    else:
        arms = dict(suite.arms)
    for key, arm in baselines.items():
        if arms.setdefault(key, arm) != arm:
            problems.add(
                "arm_twice",
                f"the suite and the experiment's baselines both have an arm {key!r}",
                path=f"baselines.{key}",
                fix="rename one of them",
            )
    compare = suite.compare
    if compare.baseline is None:
        compare = compare.model_copy(update={"baseline": _default_baseline(arms)})
    return suite.model_copy(update={"arms": arms, "compare": compare})


def _default_baseline(arms: Mapping[str, Arm]) -> str | None:
    """`few_shot`, else the only arm that asks the plain base."""
    if "few_shot" in arms:
        return "few_shot"
    plain = [key for key, arm in arms.items() if arm.model == BASE and arm.shots is None]
    return plain[0] if len(plain) == 1 else None


def fill_metrics(suite: Suite) -> Suite:
    """Let the first metric of the first grader decide, where the suite names none."""
    if suite.metrics.primary is None:
        grader, spec = next(iter(suite.graders.items()))
        primary = f"{grader}.{next(iter(metrics_of(spec)))}"
        return suite.model_copy(update={"metrics": suite.metrics.model_copy(update={"primary": primary})})
    return suite
