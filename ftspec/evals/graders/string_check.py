"""OpenAI's `string_check`: 0 or 1, nothing is trimmed; like means that the input contains the reference."""

from ftspec.evals.graders.contract import Grade, Scope, failed, right
from ftspec.evals.values import text
from ftspec.spec.suite import StringCheck


def grade(spec: StringCheck, scope: Scope) -> Grade:
    """Compare input and reference by `operation`: eq, ne, like, ilike (like without regard to case)."""
    given, reference = text(spec.input, scope), text(spec.reference, scope)
    match spec.operation:
        case "eq":
            return right(given == reference)
        case "ne":
            return right(given != reference)
    if not reference:
        return failed("the reference is empty, so `like` would always pass")
    if spec.operation == "like":
        return right(reference in given)
    return right(reference.casefold() in given.casefold())
