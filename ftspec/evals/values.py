"""What a grader or a request reads: templates over `item`, `sample` and `arm`, filled once and never expanded again."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ftspec.data.template import Place, Template, parse, text_of

_BARE = re.compile(r"(?:item|sample)(?:\.\w+|\[\d+\])+")


@lru_cache(maxsize=1024)
def _parsed(template: str) -> Template:
    """A bare path such as `item.gold` means `{{ item.gold }}` where a value, not a text, is asked for."""
    return parse("{{ " + template + " }}" if _BARE.fullmatch(template) else template)


def places(template: str) -> tuple[Place, ...]:
    """Return the places of a template. Raises SpecError (malformed)."""
    return _parsed(template).places


def value(template: str, scope: Mapping[str, Any]) -> Any:
    """Return the template's value; one place alone keeps its type. Raises MissingFieldError, SpecError (malformed)."""
    return _parsed(template).render(scope)


def text(template: str, scope: Mapping[str, Any]) -> str:
    """Return the filled template as text: strings raw, everything else as canonical JSON. Raises as `value` does."""
    filled = parse(template).render(scope)
    return filled if isinstance(filled, str) else text_of(filled)
