"""`regex`: 1 where the pattern is found in the input. A pattern that runs for over a second is an error."""

from ftspec.evals.graders.contract import Grade, Scope, failed, right
from ftspec.evals.graders.patterns import TIMEOUT, search
from ftspec.evals.values import text
from ftspec.spec.suite import RegexGrader


def grade(spec: RegexGrader, scope: Scope) -> Grade:
    """Search the pattern in the input, in the syntax of the `regex` package."""
    given = text(spec.input, scope)
    try:
        return right(search(spec.pattern, given) is not None)
    except TimeoutError:
        return failed(f"the pattern ran for more than {TIMEOUT:g} s")
    except ValueError as error:
        return failed(str(error))
