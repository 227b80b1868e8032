"""The scan of one YAML file before anybody composes it: limits, refusals, YAML traps, and the place of each value.

It reads the parser's event stream, so that an alias bomb is never expanded. Every file is scanned, trusted or not: the
same spec then means the same everywhere. A refusal leaves no document; a trap is reported beside later problems.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ftspec.compose.document import Document, Mended, Node, without
from ftspec.compose.references import reference_problem
from ftspec.compose.traps import NULL, is_text, trap
from ftspec.spec.errors import Problem

__all__ = ["MAX_BYTES", "UNSAFE", "Document", "Node", "scan"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_REFERENCES = 1_000

# Problems of these codes make the whole error an UnsafeError (exit 66).
UNSAFE = frozenset(
    {
        "anchor",
        "hydra_key",
        "limit",
        "outside",
        "package",
        "package_header",
        "reference_size",
        "resolver",
        "tag",
        "target_key",
    }
)

# Refusals that say nothing about the rest of a file: keys that stand twice or are no text, a lone `=`.
_HARMLESS = frozenset({"yaml", "yaml_trap"})

_NO_KEY_HERE = "mapping values are not allowed"  # as PyYAML says it

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_PRINTABLE = yaml.reader.Reader.NON_PRINTABLE
_DEFAULT_NAME = re.compile(r"/?[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_DEFAULT_GROUP = re.compile(r"(override +|optional +)*/?[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_PACKAGE_LINE = re.compile(r"\s*#\s*@\s*package\b\s*(?P<package>\S*)")
_HEADER_LINE = re.compile(r"\s*#\s*@")


class _RefusedError(Exception):
    """The rest of the file need not be read."""


@dataclass
class _Scan:
    shown: str
    problems: list[Problem] = field(default_factory=list)
    fatal: bool = False
    refused: list[tuple[str, int, int]] = field(default_factory=list)
    nodes: int = 0
    references: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)

    def refuse(self, code: str, message: str, line: int, column: int, fix: str = "") -> None:
        """Report something that must not be composed."""
        self.fatal = True
        self.refused.append((code, line, column))
        self.report(code, message, line, column, fix)

    def report(self, code: str, message: str, line: int, column: int, fix: str = "", path: str = "") -> None:
        """Report something that is wrong; composing may go on."""
        self.problems.append(Problem(code, message, path, self.shown, line, column, fix))


def scan(content: bytes, shown: str, stem: str, primary: bool) -> tuple[Document | None, str, list[Problem]]:
    """Scan one file: return its document (None when refused), its text and the problems found.

    `stem` is its path without `.yaml` (a suite's tells its only key); `primary` says that it is an experiment.
    """
    document, text, problems, _ = scan_further(content, shown, stem, primary)
    return document, text, problems


def scan_further(
    content: bytes, shown: str, stem: str, primary: bool
) -> tuple[Document | None, str, list[Problem], Mended | None]:
    """Do the same, and return what is left of a file that is refused for a harmless mistake: a key that stands twice.

    It serves to find what else is wrong, never to make a run. Of a file with anything unsafe nothing is composed.
    """
    state = _Scan(shown)
    text = _decoded(content, state)
    if text is None:
        return None, "", state.problems, None
    root = _parsed(text, state)
    harmless = root is not None and all(code in _HARMLESS for code, _, _ in state.refused)
    if not state.fatal or harmless:
        _look_at_comments(text, state)
        _look_at_top(root, stem, primary, text, state)
    if not state.fatal:
        return Document(root), text, state.problems, None
    harmless = root is not None and root.kind == "map" and all(code in _HARMLESS for code, _, _ in state.refused)
    left = without(root, {(line, column) for _, line, column in state.refused}) if harmless and root else None
    return None, text, state.problems, left


def _decoded(content: bytes, state: _Scan) -> str | None:
    if len(content) > MAX_BYTES:
        state.refuse("limit", f"larger than {MAX_BYTES // 1024} KiB", 0, 0, "move long texts to files: {file: path}")
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        state.refuse("encoding", "is not UTF-8", line, column, "save the file as UTF-8")
        return None
    odd = _NOT_PRINTABLE.search(text)
    if odd:
        line, column = _place(text, odd.start())
        state.refuse("encoding", f"holds the control character U+{ord(odd.group()):04X}", line, column, "remove it")
        return None
    return text


def _place(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


def _parsed(text: str, state: _Scan) -> Node | None:
    try:
        events = yaml.parse(text, Loader=_Loader)
        root = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    line = event.start_mark.line + 1 if event.start_mark is not None else 0
                    state.refuse("yaml", "holds several documents", line, 1, "keep one")
                    return None
                root = _node(next(events), events, state, 1, False)
        return root
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # The line without a colon is the mistake, not the next one, where the parser gives up.
        if error.context_mark is not None and "expected ':'" in str(error.problem):
            mark = error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        last = text.rstrip().count("\n") + 1
        if line > last:  # an open bracket or quote: say where the text ends
            line, column = last, len(text.rstrip().rpartition("\n")[2]) + 1
        what = " ".join(str(part) for part in (error.problem, error.context) if part)
        said = "a colon makes a key where none can stand" if what.startswith(_NO_KEY_HERE) else what
        state.refuse("yaml", f"is no valid YAML: {said}", line, column, _yaml_fix(text, line, column, what))
    except yaml.YAMLError as error:
        state.refuse("yaml", f"is no valid YAML: {error}", 0, 0)
    except _RefusedError:
        pass
    return None


def _yaml_fix(text: str, line: int, column: int, what: str) -> str:
    lines = text.splitlines()
    there = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in there[: len(there) - len(there.lstrip())] or "\\t" in what:
        return "indent with spaces, not tabs"
    if what.startswith(_NO_KEY_HERE):
        before = there[: column - 1].lstrip("- ")
        return "quote a text that holds `: `" if ":" in before else "indent a key as those beside it"
    if "{{" in there or "${" in there or "@" in there or "%" in there:
        return "quote the value"
    return ""


def _node(event: Any, events: Iterator[Any], state: _Scan, depth: int, flow: bool) -> Node:
    mark = event.start_mark
    line, column = mark.line + 1, mark.column + 1
    state.nodes += 1
    if depth > MAX_DEPTH or state.nodes > MAX_NODES:
        what = f"deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"more than {MAX_NODES} values"
        state.refuse("limit", what, line, column)
        raise _RefusedError
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        state.refuse(
            "anchor", "anchors (&) and aliases (*) are refused", line, column, "write the value out, or refer: ${a.b}"
        )
        raise _RefusedError
    if event.tag is not None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        state.refuse("tag", f"the tag {tag} is refused", line, column, "write the plain value")
        raise _RefusedError
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event, state, line, column, flow)
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        inside = flow or bool(event.flow_style)
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            item = _node(event, events, state, depth + 1, inside)
            _look_at_value(item, item, state)
            items.append(item)
        return Node("list", line, column, items, flow=inside)
    inside = flow or bool(event.flow_style)
    pairs: list[tuple[Node, Node]] = []
    seen: dict[str, Node] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(event, events, state, depth + 1, inside)
        value = _node(next(events), events, state, depth + 1, inside)
        _look_at_key(key, seen, state)
        _look_at_value(value, key, state)
        pairs.append((key, value))
    return Node("map", line, column, pairs, flow=inside)


def _scalar(event: Any, state: _Scan, line: int, column: int, flow: bool) -> Node:
    if event.end_mark.line > event.start_mark.line:
        state.spans.append((event.start_mark.line + 1, event.end_mark.line + 1))
    return Node("text", line, column, event.value, plain=not event.style, flow=flow)


def _look_at_key(key: Node, seen: dict[str, Node], state: _Scan) -> None:
    if key.kind != "text":
        state.refuse("yaml", "a key must be a text", key.line, key.column, "quote templates: '{{ field }}'")
        raise _RefusedError
    name = key.value
    if key.plain and not is_text(name):
        state.refuse("yaml", f"the key {name or 'null'} is no text", key.line, key.column, f"quote it: '{name}'")
    elif name == "<<":
        state.refuse("anchor", "merge keys (<<) are refused", key.line, key.column, "write the values out")
    elif name == "_target_":
        state.refuse("target_key", "_target_ is refused: a spec never names code", key.line, key.column)
    elif name in seen:
        first = seen[name]
        state.refuse("yaml", f"the key {name} stands twice (first in line {first.line})", key.line, key.column)
    seen[name] = key


def _look_at_value(node: Node, place: Node, state: _Scan) -> None:
    if node.kind != "text":
        return
    text = node.value
    if "${" in text:
        state.references += text.count("${")
        if state.references > MAX_REFERENCES:
            state.refuse("limit", f"more than {MAX_REFERENCES} references", node.line, node.column)
            raise _RefusedError
        problem = reference_problem(text)
        if problem:
            code, message, fix = problem
            state.refuse(code, message, node.line, node.column, fix)
    if node.plain and text == "=":
        state.refuse("yaml_trap", "= has a meaning of its own in YAML", place.line, place.column, "quote it: '='")
    elif node.plain and (found := trap(text, node.flow)):
        # At its key, where the schema's own complaint about the same value stands too.
        state.report("yaml_trap", found[0], place.line, place.column, found[1])


def _look_at_comments(text: str, state: _Scan) -> None:
    """Refuse `# @package` wherever a comment may stand, and headers on which Hydra itself would stumble."""
    top = True
    for number, line in enumerate(text.splitlines(), start=1):
        found = _PACKAGE_LINE.match(line)
        if found and not any(first < number <= last for first, last in state.spans):
            from ftspec.compose.convert import without_header

            column = line.index("#") + 1
            state.refuse(
                "package_header",
                "# @package headers are refused: where content lands is decided by its folder",
                number,
                column,
                without_header(text, found["package"], state.shown),
            )
        elif top and _HEADER_LINE.match(line) and len(line.strip().lstrip("#").split()) != 2:
            fix = "start the comment with another character"
            state.report("header", "Hydra reads a comment that starts with @ as a header", number, 1, fix)
        top = top and (not line.strip() or bool(_HEADER_LINE.match(line)))


def _look_at_top(root: Node | None, stem: str, primary: bool, text: str, state: _Scan) -> None:
    if root is None or (root.kind == "text" and root.plain and root.value in NULL):
        return
    if root.kind != "map":
        state.refuse("yaml", "must hold keys and values", root.line, root.column)
        return
    for key, value in root.value:
        if key.value == "hydra" or key.value.startswith("hydra/"):
            from ftspec.compose.convert import without_hydra

            message = "a hydra: key is refused: it can load code and read any folder"
            state.refuse("hydra_key", message, key.line, key.column, without_hydra(text))
        elif key.value == "defaults":
            _look_at_defaults(value, state)
    group, _, name = stem.rpartition("/")
    if group == "evals" and not primary:
        names = [key.value for key, _ in root.value if key.value != "defaults"]
        if names != [name]:
            first = next((key for key, _ in root.value if key.value not in ("defaults", name)), root)
            fix = f"put everything below `{name}:`"
            state.refuse("suite_key", f"a suite file holds one key, its stem: {name}", first.line, first.column, fix)


def _look_at_defaults(defaults: Node, state: _Scan) -> None:
    if defaults.kind != "list":
        fix = "write `defaults: [config, _self_]`"
        state.refuse("defaults", "defaults must be a list", defaults.line, defaults.column, fix)
        return
    overriding = ""
    for item in defaults.value:
        group = item.value[0][0].value if item.kind == "map" and item.value else item.value
        if str(group).startswith("override "):
            overriding = group
        elif overriding and group != "_self_":
            fix = "overrides stand at the end; only _self_ may follow"
            state.refuse("defaults", f"{group} stands after `{overriding}`", item.line, item.column, fix)
        if item.kind == "text":
            _look_at_default(item, _DEFAULT_NAME, state)
        elif item.kind == "map" and len(item.value) == 1:
            group, option = item.value[0]
            _look_at_default(group, _DEFAULT_GROUP, state)
            options = option.value if option.kind == "list" else [option]
            for one in options:
                if one.kind != "text":
                    state.refuse("defaults", "an option must be a name", one.line, one.column)
                elif not (one.plain and one.value in NULL and option.kind == "text"):
                    _look_at_default(one, _DEFAULT_NAME, state)
        else:
            fix = "write `- name` or `- group: option`"
            state.refuse(
                "defaults", "an entry of defaults is a name, or one group: option", item.line, item.column, fix
            )


def _look_at_default(node: Node, pattern: re.Pattern[str], state: _Scan) -> None:
    text = node.value
    if pattern.fullmatch(text) and not text.removeprefix("override ").lstrip(" /").startswith("hydra"):
        return
    if "@" in text:
        code, message = "package", "@ (packages) in defaults is refused"
        fix = "name the file plainly: where content lands is decided by its folder"
    elif ".." in text:
        code, message, fix = "outside", "defaults must not leave the configuration folders", "move the file into conf/"
    elif "hydra" in text:
        code, message, fix = "hydra_key", "defaults must not change Hydra itself", "remove it"
    elif "${" in text:
        code, message, fix = "resolver", "references in defaults are refused", "name the option"
    else:
        code, message, fix = "defaults", f"{text!r} cannot name a file of conf/", "use letters, digits, _ and -"
    state.refuse(code, message, node.line, node.column, fix)
