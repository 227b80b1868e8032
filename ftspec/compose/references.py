"""References `${a.b}`: which forms are allowed, where they point, and how large a configuration they make.

Every resolver (`${oc.env:...}`, `${now:...}`, anyone's) is refused: a spec composes to the same bytes at any time on
any machine. What is resolved is measured first, since a few lines of references can grow without end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ftspec.spec.errors import Problem

# Characters of the resolved configuration, keys not counted.
MAX_RESOLVED = 256 * 1024

Path = tuple[str | int, ...]

_SIMPLE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.\w+)*)\}")
_INSIDE = re.compile(r"(?P<dots>\.*)(?P<path>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+|\[[A-Za-z0-9_-]+\])*)")
_PART = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Reference:
    """One `${...}`: `up` leading dots (0 for an absolute one) and the keys after them."""

    up: int
    parts: tuple[str, ...]
    text: str

    def target(self, at: Path) -> Path | None:
        """Return the path it points to from the value at `at`; None when it climbs too far."""
        if not self.up:
            return self.parts
        return (*at[: len(at) - self.up], *self.parts) if self.up <= len(at) else None


def is_simple(text: str) -> bool:
    """Tell whether all references of a text are absolute, plain and not escaped: `${a.b}`."""
    return "\\" not in text and "${" not in _SIMPLE.sub("", text)


def simple_targets(text: str) -> list[str]:
    """Return the dotted targets of a simple text."""
    return _SIMPLE.findall(text)


def pieces(text: str) -> Iterator[str | Reference]:
    """Split a text into literals and references. Raises ValueError (code, message, fix) for a form that is refused."""
    start = 0
    while (found := text.find("${", start)) >= 0:
        slashes = found - len(text[:found].rstrip("\\"))
        if slashes % 2:  # \${ is literal text for OmegaConf
            yield text[start : found + 2]
            start = found + 2
            continue
        yield text[start:found]
        end = text.find("}", found)
        inside = text[found + 2 : end] if end >= 0 else text[found + 2 :]
        if ":" in inside and "${" not in inside.partition(":")[0]:
            name = inside.partition(":")[0].strip()
            fix = "a secret is {env: NAME} in the provider block; a text file is {file: path}"
            raise ValueError("resolver", f"resolvers are refused: ${{{name}:...}}", fix)
        if "${" in inside or "$" in inside:
            raise ValueError("resolver", "nested references are refused", "write the key out: ${a.b}")
        match = _INSIDE.fullmatch(inside.strip())
        if end < 0 or not match:
            fix = "write ${a.b}; for the literal text \\${...}, or put it in a file: {file: path}"
            raise ValueError("reference", f"cannot be read as a reference: ${{{inside[:40]}", fix)
        yield Reference(len(match["dots"]), tuple(_PART.findall(match["path"])), text[found : end + 1])
        start = end + 1
    yield text[start:]


def reference_problem(text: str) -> tuple[str, str, str] | None:
    """Return (code, message, fix) of the first reference in a text that is refused."""
    try:
        for _ in pieces(text):
            pass
    except ValueError as error:
        code, message, fix = error.args
        return code, message, fix
    return None


def texts(value: Any, at: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every text that holds `${`, with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, (*at, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from texts(item, (*at, number))
    elif isinstance(value, str) and "${" in value:
        yield at, value


class _UnreadableError(Exception):
    """The walk met something that must not be resolved."""

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.fix = code, message, fix


@dataclass
class _Measure:
    root: Any
    sizes: dict[Path, int] = field(default_factory=dict)
    open: set[Path] = field(default_factory=set)

    def size(self, at: Path, node: Any) -> int:
        """Return how many characters a value has once resolved."""
        if isinstance(node, dict):
            return sum(self.size((*at, key), item) for key, item in node.items())
        if isinstance(node, list):
            return sum(self.size((*at, number), item) for number, item in enumerate(node))
        if not isinstance(node, str):
            return 8
        if "${" not in node:
            return len(node)
        if at in self.sizes:
            return self.sizes[at]
        if at in self.open or len(self.open) > 100:
            raise _UnreadableError("reference_size", "references go in a circle", "let one of them say its value")
        self.open.add(at)
        self.sizes[at] = self._of_text(at, node)
        self.open.discard(at)
        return self.sizes[at]

    def _of_text(self, at: Path, text: str) -> int:
        total = 0
        for piece in _pieces(text):
            if isinstance(piece, str):
                total += len(piece)
                continue
            target = piece.target(at)
            if target is None:
                raise _UnreadableError("reference", f"{piece.text} points outside the experiment")
            total += self.size(*self.find(target, piece.text))
            if total > MAX_RESOLVED:
                raise _UnreadableError("reference_size", f"references grow beyond {MAX_RESOLVED // 1024} Ki characters")
        return total

    def find(self, target: Path, text: str) -> tuple[Path, Any]:
        """Return the path and value of a target; a value on the way that is a reference itself is followed."""
        at: Path = ()
        node = self.root
        hops = 0
        rest = list(target)
        while True:
            if rest and isinstance(node, str) and "${" in node:
                found = [piece for piece in _pieces(node) if piece]
                goal = found[0].target(at) if len(found) == 1 and isinstance(found[0], Reference) else None
                hops += 1
                if goal is None or hops > 20:
                    raise _UnreadableError("reference", f"{text} goes through a value that has no keys")
                rest, at, node = [*goal, *rest], (), self.root
                continue
            if not rest:
                return at, node
            key = rest.pop(0)
            if isinstance(node, dict) and key in node:
                node, at = node[key], (*at, key)
            elif isinstance(node, list) and str(key).isdigit() and int(key) < len(node):
                node, at = node[int(key)], (*at, int(key))
            else:
                known = ", ".join(map(str, node)) if isinstance(node, dict) else ""
                fix = f"known here: {known[:200]}" if known else ""
                raise _UnreadableError("reference", f"{text} points to nothing: {'.'.join(map(str, target))}", fix)


def _pieces(text: str) -> Iterator[str | Reference]:
    try:
        yield from pieces(text)
    except ValueError as error:
        raise _UnreadableError(*error.args) from error


def measure(raw: Any) -> list[tuple[Path, Problem]]:
    """Walk an unresolved configuration: return a problem for each text that must not or cannot be resolved.

    The sum over all texts that hold references is limited too; no resolver is ever called.
    """
    walk = _Measure(raw)
    problems: list[tuple[Path, Problem]] = []
    total = 0
    for at, text in texts(raw):
        try:
            total += walk.size(at, text)
        except _UnreadableError as error:
            walk.open.clear()
            problems.append((at, Problem(error.code, error.message, ".".join(map(str, at)), fix=error.fix)))
    if total > MAX_RESOLVED and not problems:
        message = f"references grow beyond {MAX_RESOLVED // 1024} Ki characters"
        problems.append(((), Problem("reference_size", message)))
    return problems
