"""YAML as a person would write it: short values on one line, texts quoted where another reader might err."""

import json
import re
from collections.abc import Mapping
from typing import Any

WIDTH = 100
# Texts that every YAML reader takes for the same text; all others are quoted.
_PLAIN = re.compile(r"[A-Za-z_@/][A-Za-z0-9_./@-]*(?: [A-Za-z0-9_./@()=+-]+)*")
_WORDS = re.compile(r"(?i)true|false|yes|no|on|off|y|n|null|nan|inf|none")


def experiment_text(keys: Mapping[str, Any], choices: Mapping[str, Any], head: str) -> str:
    """Return an experiment's file: the head line, its defaults list, then its keys."""
    entries = "".join(f", override {group}: {flow(choice)}" for group, choice in choices.items())
    return f"{head}\ndefaults: [config{entries}, _self_]\n\n{block(keys)}"


def block(value: Mapping[str, Any], indent: str = "") -> str:
    """Return a mapping in block style; values that fit stand on one line."""
    lines = []
    for key, item in value.items():
        name = _scalar(key)
        line = f"{indent}{name}: {flow(item)}"
        if isinstance(item, Mapping) and item and (len(line) > WIDTH or (not indent and _is_deep(item))):
            lines.append(f"{indent}{name}:\n{block(item, indent + '  ')}")
        elif isinstance(item, list) and len(line) > WIDTH:
            entries = "".join(f"{indent}  - {flow(entry)}\n" for entry in item)
            lines.append(f"{indent}{name}:\n{entries}")
        else:
            lines.append(line + "\n")
    return "".join(lines)


def _is_deep(value: Mapping[str, Any]) -> bool:
    return any(isinstance(item, (Mapping, list)) for item in value.values())


def flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _WORDS.fullmatch(value) and "(" not in value:
        return value
    # JSON is YAML; a float keeps its point, since YAML 1.1 reads 1e-05 as a text.
    if isinstance(value, float):
        text = repr(value)
        mantissa, mark, exponent = text.partition("e")
        return f"{mantissa}.0e{exponent}" if mark and "." not in mantissa else text
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
