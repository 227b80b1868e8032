"""Tool definitions of rows as canonical JSON, each distinct text canonicalised once."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

_MOST = 1000  # distinct texts kept


class Tools:
    """The tools of a data set's rows; `common` are those of `dataset.tools`, canonical, None without."""

    def __init__(self, common: bytes | None) -> None:
        self._common = common
        self._known: dict[bytes, bytes] = {}

    def of(self, own: Raw | UnsetType) -> bytes | None:
        """Return the canonical tools of a row that has `own` ones. Raises ValueError with what is wrong with them."""
        if own is UNSET:
            return self._common
        data = bytes(own)
        if self._common is not None and data != self._common:
            raise ValueError("the row has tools, and so has dataset.tools")
        known = self._known.get(data)
        if known is None:
            known = canonical_tools(msgspec.json.decode(data))
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[data] = known
        return known


def canonical_tools(tools: Any) -> bytes:
    """Return tool definitions as RFC 8785 JSON. Raises ValueError for anything but a list of function definitions."""
    import rfc8785

    if not isinstance(tools, list) or not 1 <= len(tools) <= 128:
        raise ValueError("tools must be a list of 1 to 128 function definitions")
    for n, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ValueError(f'tools[{n}] is not {{"type": "function", "function": {{"name": ...}}}}')
    try:
        return rfc8785.dumps(tools)
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise ValueError(f"tools cannot be written as canonical JSON: {error}") from error
