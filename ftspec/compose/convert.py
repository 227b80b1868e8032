"""What is refused, written the way ftspec reads it: for error messages and for `new --from`."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

_PACKAGE_LINE = re.compile(r"^\s*#\s*@\s*package\b.*\n?", re.MULTILINE)


def sweep_block(params: Mapping[str, Any]) -> str:
    """Return the `sweep:` block that says the same as `hydra.sweeper.params`.

    A text there is override grammar and stays one; a YAML list there is one value in Hydra, so it becomes `[[...]]`.
    """
    grid = {str(key).lstrip("+"): value if isinstance(value, str) else [value] for key, value in params.items()}
    written: str = yaml.safe_dump({"sweep": {"grid": grid}}, sort_keys=False, default_flow_style=None, width=120)
    return written


def without_hydra(text: str) -> str:
    """Word what to write instead of a `hydra:` key; a sweep is converted."""
    try:
        content = yaml.safe_load(text)
        params = content["hydra"]["sweeper"]["params"]
        block = sweep_block(params) if params else ""
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError):
        block = ""
    if not block:
        return "remove it; a sweep is written in a `sweep:` block"
    hint = ""
    if any(isinstance(value, list) for value in params.values()):
        hint = "\n(a list was one value there; drop the outer [ ] to sweep over its items)"
    return f"write instead:\n{block.rstrip()}{hint}"


def without_header(text: str, package: str, shown: str) -> str:
    """Word what to write instead of a file with a `# @package` header; the result composes to the same."""
    body = _PACKAGE_LINE.sub("", text)
    home = shown.removeprefix("conf:").removeprefix("conf/").rpartition("/")[0].replace("/", ".")
    if package in (home, "_group_") and home:
        return "remove the line: the content lands there anyway"
    try:
        content = yaml.safe_load(body)
    except yaml.YAMLError:
        return "remove the line"
    defaults = content.pop("defaults", None) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        return "remove the line"
    if package in ("_global_", ""):
        wrapped: Any = content
    else:
        wrapped = content
        for key in reversed(package.removeprefix("_global_.").split(".")):
            wrapped = {key: wrapped}
    head = {"defaults": defaults or ["config", "_self_"]}
    written = yaml.safe_dump(head, default_flow_style=None, width=120)
    written += yaml.safe_dump(wrapped, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    return f"write it as an experiment (experiments/NAME.yaml):\n{written.rstrip()}"
