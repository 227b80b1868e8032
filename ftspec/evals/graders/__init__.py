"""One file a grader, in one closed table. Graders are pure: the same answer and item give the same grade."""

from collections.abc import Callable
from typing import Any

from ftspec.data.template import MissingFieldError
from ftspec.evals.graders import json_fields, label, regex, string_check, tool_call
from ftspec.evals.graders.contract import Grade, Scope, absent, failed

GRADERS: dict[str, Callable[[Any, Scope], Grade]] = {
    "string_check": string_check.grade,
    "label": label.grade,
    "regex": regex.grade,
    "json_fields": json_fields.grade,
    "tool_call": tool_call.grade,
}


def grade(spec: Any, scope: Scope) -> Grade:
    """Grade one answer.

    `scope` holds `item` (its fields), `sample` (output_text, output_json, output_tools) and `tools` (of the request).
    What the model left out scores 0 with the label `missing`; what the item lacks is an error.
    """
    try:
        return GRADERS[spec.type](spec, scope)
    except MissingFieldError as missing:
        return absent(missing.path)
    except ValueError as error:
        # Canonical JSON refuses what it cannot write exactly, such as integers beyond 2^53.
        return failed(f"a value cannot be rendered: {error}")


__all__ = ["GRADERS", "Grade", "grade"]
