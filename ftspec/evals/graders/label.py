"""`label`: the answer must be the item's label. What is no label counts as the class `__none__`, never as an error."""

from collections.abc import Sequence
from functools import lru_cache

from ftspec.data.template import MissingFieldError
from ftspec.evals.graders.contract import MISSING, NO_LABEL, Grade, Scope, absent, failed
from ftspec.evals.graders.patterns import TIMEOUT, search
from ftspec.evals.values import text, value
from ftspec.spec.suite import LabelGrader


def grade(spec: LabelGrader, scope: Scope) -> Grade:
    """Find the label in the input (surrounding white space does not count) and compare it with the reference.

    A reference that is in no list of labels, such as a class unseen in training, is a label for its own item.
    """
    if value(spec.reference, scope) is None or not (reference := text(spec.reference, scope).strip()):
        return failed("the reference is empty")
    try:
        given = _extract(spec, text(spec.input, scope))
    except MissingFieldError as missing:
        if absent(missing.path).error:
            raise
        parts = {"reference": reference, "predicted": NO_LABEL}
        return Grade(score=0.0, passed=False, label=MISSING, parts=parts)
    except TimeoutError:
        return failed(f"the pattern ran for more than {TIMEOUT:g} s")
    except ValueError as error:
        return failed(str(error))
    predicted = _known(spec, given, reference)
    passed = predicted == reference
    return Grade(
        score=float(passed), passed=passed, label=predicted, parts={"reference": reference, "predicted": predicted}
    )


def _extract(spec: LabelGrader, given: str) -> str:
    """With `match: pattern` the group named `label`, else the first group, else the whole match; "" without a match."""
    if spec.match != "pattern" or spec.pattern is None:
        return given.strip()
    found = search(spec.pattern, given)
    if found is None:
        return ""
    if "label" in found.re.groupindex:
        return (found["label"] or "").strip()
    return (found[1 if found.re.groups else 0] or "").strip()


def _known(spec: LabelGrader, given: str, reference: str) -> str:
    if spec.match == "exact":
        return given if given == reference or given in _exact(tuple(spec.labels or ())) else NO_LABEL
    folded = given.casefold()
    if folded == reference.casefold():
        return reference
    return _folded(tuple(spec.labels or ())).get(folded, NO_LABEL)


@lru_cache(maxsize=64)
def _exact(labels: Sequence[str]) -> frozenset[str]:
    return frozenset(labels)


@lru_cache(maxsize=64)
def _folded(labels: Sequence[str]) -> dict[str, str]:
    return {label.casefold(): label for label in labels}
