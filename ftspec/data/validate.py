"""The slow path: everything that is wrong with one row that failed to decode, each with its place and what to do.

The fast path (`chat.py` through msgspec) decides whether a row is good; this one only explains, in plain Python.
"""

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ftspec.data.chat import RESERVED
from ftspec.data.preference import OLD_NAMES, SIDES
from ftspec.data.readers import json_problem
from ftspec.spec.errors import Problem

Add = Callable[..., None]
_ROLES = ("system", "developer", "user", "assistant", "tool")
_KEYS = {role: {"role", "content", "name", "weight"} for role in _ROLES}
_KEYS["assistant"] |= {"refusal", "tool_calls"}
_KEYS["tool"] |= {"tool_call_id"}
_ROW = {"messages", "tools", "parallel_tool_calls"}
_OTHER_FLAGS = ("trainable", "loss", "loss_weight", "masked", "train")


def explain_line(data: bytes, fallback: str, metadata: Collection[str], file: str, line: int) -> list[Problem]:
    """Return the problems of a row given as JSON text; `fallback` is what the fast path said."""
    broken = json_problem(data, file, line)
    if broken is not None:
        return [broken]
    import json

    return explain(json.loads(data), fallback, metadata, file, line)


def explain(row: Any, fallback: str, metadata: Collection[str], file: str, line: int) -> list[Problem]:
    """Return the problems of a decoded row; at least one, `fallback` in doubt."""
    found: list[Problem] = []

    def add(code: str, message: str, path: str = "", fix: str = "") -> None:
        found.append(Problem(code, message, path, file, line, fix=fix))

    if not isinstance(row, dict):
        add("json", f"a row is an object, this is {_kind(row)}")
    elif (surrogate := find_surrogate(row)) is not None:
        path, at = surrogate
        add("surrogate", f"character {at + 1} is half of a surrogate pair (broken Unicode)", path, "repair the text")
    elif "messages" not in row and {"prompt", "completion"} & row.keys():
        _completion(row, metadata, add)
    else:
        _chat(row, metadata, add)
    if not found:
        add("row", fallback)
    return found


def find_surrogate(value: Any, path: str = "") -> tuple[str, int] | None:
    """Return path and index of the first lone surrogate in any text of a JSON value, or None."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return path, error.start
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            hit = find_surrogate(key, path) or find_surrogate(entry, f"{path}.{key}" if path else str(key))
            if hit:
                return hit
    elif isinstance(value, list):
        for n, entry in enumerate(value):
            if hit := find_surrogate(entry, f"{path}[{n}]"):
                return hit
    return None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = ((bool, "a boolean"), (str, "a string"), (int | float, "a number"), (list, "a list"), (dict, "an object"))
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def _completion(row: dict[str, Any], metadata: Collection[str], add: Add) -> None:
    for key in ("prompt", "completion"):
        if not isinstance(row.get(key), str):
            add("content", f"must be a string, not {_kind(row.get(key))}" if key in row else "is missing", key)
    _unknown(row, {"prompt", "completion"} | set(metadata), "", add)


def _chat(row: dict[str, Any], metadata: Collection[str], add: Add) -> None:
    messages = row.get("messages")
    if "messages" not in row:
        _no_messages(row, add)
        return
    if not isinstance(messages, list) or not messages:
        add("messages", "must be a list with at least one message", "messages")
        return
    _unknown(row, _ROW | set(metadata), "", add)
    if "tools" in row and not isinstance(row["tools"], list):
        add("tools", f"must be a list, not {_kind(row['tools'])}", "tools")
    if not isinstance(row.get("parallel_tool_calls", True), bool):
        add("row", "must be true or false", "parallel_tool_calls")
    for n, message in enumerate(messages):
        if isinstance(message, dict):
            _message(message, f"messages[{n}]", add)
        else:
            add("messages", f"a message is an object, this is {_kind(message)}", f"messages[{n}]")


def _no_messages(row: dict[str, Any], add: Add) -> None:
    if "conversations" in row:
        fix = (
            "ShareGPT rows are not read: rename `conversations` to `messages`, `from` to `role` (human: user, "
            "gpt: assistant) and `value` to `content`"
        )
        add("sharegpt", "the row has `conversations`, not `messages`", "conversations", fix)
    elif any(name in row for name in (*SIDES, *OLD_NAMES)):
        _preference(row, add)
    else:
        names = ", ".join(list(row)[:6])
        fix = 'write {"messages": [...]} rows, or add `dataset.messages` to build them from these fields'
        add("messages", f"no `messages` in the row (it has: {names or 'nothing'})", "", fix)


def _preference(row: dict[str, Any], add: Add) -> None:
    for old, name in zip(OLD_NAMES, SIDES, strict=True):
        if old in row:
            add("dpo", f"the key is called {name}", old, f"rename {old} to {name}")
    for name in ("input", *SIDES):
        if name not in row:
            add("dpo", "is missing", name)


def _unknown(row: Mapping[str, Any], known: set[str], path: str, add: Add) -> None:
    for key in row:
        if key in known:
            continue
        close = difflib.get_close_matches(str(key), known, n=1)
        fix = f"did you mean {close[0]}?" if close else "remove it"
        if key in ("functions", "function_call"):
            fix = "the old form of function calling is not read: use tools and tool_calls"
        elif not path and key not in RESERVED and not close:
            fix = f"declare it, dataset.metadata: [{key}], or remove it"
        elif path and key in _OTHER_FLAGS:
            fix = f"say so: weights.field: {key}"
        add("keys", f"unknown key {key!r}", f"{path}.{key}" if path else str(key), fix)


def _message(message: dict[str, Any], path: str, add: Add) -> None:
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        fix = "use system, developer, user, assistant or tool"
        if role == "function":
            fix = "the old form of function calling is not read: use role tool and tool_calls"
        add("role", f"unknown role {role!r}" if "role" in message else "a message needs a role", f"{path}.role", fix)
        role = "assistant"
    _unknown(message, _KEYS[role], path, add)
    if "weight" in message:
        weight = message["weight"]
        if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int) or weight not in (0, 1)):
            add("weight", f"weight is {weight!r}", f"{path}.weight", "a weight is the integer 0 or 1")
    for key in ("name", "refusal", "tool_call_id"):
        if not isinstance(message.get(key, ""), str) and not (message[key] is None and key != "tool_call_id"):
            add("content", f"must be a string, not {_kind(message[key])}", f"{path}.{key}")
    if role == "tool" and "tool_call_id" not in message:
        add("tool_ids", "a tool message needs tool_call_id", path)
    _content(message, role, f"{path}.content", add)
    if message.get("tool_calls") is not None:
        _tool_calls(message["tool_calls"], f"{path}.tool_calls", add)


def _content(message: dict[str, Any], role: str, path: str, add: Add) -> None:
    content = message.get("content")
    if isinstance(content, str):
        return
    if content is None:
        if role != "assistant":
            add("content", "content is missing" if "content" not in message else "content is null", path)
        return
    if not isinstance(content, list):
        add("content", f"content must be a string or a list of parts, not {_kind(content)}", path)
        return
    for n, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            _unknown(part, {"type", "text"}, f"{path}[{n}]", add)
        elif kind == "image_url" and role != "user":
            add("vision", f"images are allowed in user messages only, not {role}", f"{path}[{n}]")
        elif kind == "image_url":
            _image(part, f"{path}[{n}]", add)
        else:
            add("content", "a part is {type: text, text: ...} or an image_url", f"{path}[{n}]")


def _image(part: dict[str, Any], path: str, add: Add) -> None:
    _unknown(part, {"type", "image_url"}, path, add)
    image = part.get("image_url")
    if not isinstance(image, dict) or not isinstance(image.get("url"), str):
        add("content", "an image needs image_url: {url: ...}", path)
        return
    _unknown(image, {"url", "detail"}, f"{path}.image_url", add)
    if image.get("detail") not in (None, "auto", "low", "high"):
        add("content", "detail is auto, low or high", f"{path}.image_url.detail")


def _tool_calls(calls: Any, path: str, add: Add) -> None:
    if not isinstance(calls, list):
        add("tool_args", f"tool_calls must be a list, not {_kind(calls)}", path)
        return
    for n, call in enumerate(calls):
        here = f"{path}[{n}]"
        if not isinstance(call, dict):
            add("tool_args", f"a call is an object, not {_kind(call)}", here)
            continue
        _unknown(call, {"id", "type", "function"}, here, add)
        if not isinstance(call.get("id"), str):
            add("tool_ids", "a call needs an id (a string)", f"{here}.id")
        if call.get("type") != "function":
            add("tool_args", 'a call needs "type": "function"', f"{here}.type")
        function = call.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            add("tool_names", "a call needs function: {name, arguments}", f"{here}.function")
            continue
        _unknown(function, {"name", "arguments"}, f"{here}.function", add)
        if not isinstance(function.get("arguments"), str):
            fix = "write the arguments as a JSON text, a string that holds an object"
            message = f"arguments must be a string, not {_kind(function.get('arguments'))}"
            add("tool_args", message, f"{here}.function.arguments", fix)
