"""The command line's overrides: parsed, refused where unsafe, told apart into group choices, values and axes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ftspec.compose import axes
from ftspec.compose.axes import AxisError, Values
from ftspec.compose.overrides import under
from ftspec.compose.references import reference_problem, texts
from ftspec.compose.session import MAX_OVERRIDE, Session
from ftspec.compose.shape import shapes_at, suggestion
from ftspec.compose.sites import COMMAND_LINE
from ftspec.spec.errors import Problem


@dataclass(frozen=True)
class Given:
    """One override of the command line. `values` is set where it sweeps; `prefix` is `+`, `++`, `~` or nothing."""

    text: str
    prefix: str
    key: str
    is_group: bool
    values: Values | None = None
    value: Any = None

    @property
    def is_sweep_block(self) -> bool:
        """Whether it changes the sweep block, not a run."""
        return under(self.key, "sweep")

    @property
    def dotted(self) -> str:
        """The key as a path of the configuration."""
        return self.key.replace("/", ".")


def read(session: Session, overrides: Sequence[str], report: Callable[[Problem], None]) -> list[Given]:
    """Parse all overrides; each problem is reported, none raised."""
    found = []
    for text in overrides:
        try:
            given = _read(session, text)
        except AxisError as error:
            report(Problem(error.code, error.message, _key_of(text), COMMAND_LINE, fix=error.fix))
            continue
        problem = _refused(session, given)
        if problem:
            report(problem)
        else:
            found.append(given)
    for one, later in list(_covered(found)):
        message = f"{one.text} has no effect: {later.text} stands after it"
        report(Problem("no_effect", message, one.key, COMMAND_LINE, fix="leave one of them out"))
        found.remove(one)
    return found


def _covered(given: Sequence[Given]) -> Iterator[tuple[Given, Given]]:
    """Yield each override whose key a later one gives anew, with that one; mappings are merged, lists extended."""
    last: dict[str, Given] = {}
    for one in given:
        before = last.get(one.key)
        if one.prefix in ("", "+", "++") and not isinstance(one.value, dict):
            if before is not None:
                yield before, one
            last[one.key] = one
        else:
            last.pop(one.key, None)


def _key_of(text: str) -> str:
    return text.partition("=")[0].strip()[:80]


def _read(session: Session, text: str) -> Given:
    if len(text) > MAX_OVERRIDE:
        raise AxisError("limit", f"longer than {MAX_OVERRIDE} characters", "put long texts into files")
    key, _, value = text.partition("=")
    if value.lstrip().startswith("logrange"):
        values = axes.of_text(session, key, value)
        return _given(session, session.parse(f"{key}=0"), text, values)
    try:
        override = session.parse(text)
        if not override.key_or_group:
            raise ValueError("the key is missing")
    except session.errors as error:
        message, fix = axes.syntax(error, key, text)
        raise AxisError("override_syntax", message, fix) from error
    values = axes.of_override(session, override)
    try:
        return _given(session, override, text, values)
    except session.errors as error:
        fix = f"give ~{override.key_or_group} to leave the group out" if override.value() is None else ""
        raise AxisError("compose", " ".join(str(error).split()), fix) from error


def _given(session: Session, override: Any, text: str, values: Values | None) -> Given:
    prefix = {"CHANGE": "", "ADD": "+", "FORCE_ADD": "++", "DEL": "~"}.get(override.type.name, "extend")
    if override.package is not None:
        raise AxisError("package", "@ (packages) in overrides is refused", "name the group alone")
    is_group = session.is_group(override.key_or_group) if values else not session.is_value(override)
    value = None if values else override.value()
    return Given(text, prefix, override.key_or_group, is_group, values, value)


def _refused(session: Session, given: Given) -> Problem | None:
    if under(given.dotted, "hydra"):
        return Problem(
            "hydra_key",
            "Hydra's own settings are refused: they can load code and read any folder",
            path=given.key,
            file=COMMAND_LINE,
        )
    inside = given.values.make() if given.values and given.values.count <= 1000 else given.value
    for _, text in texts([inside]):
        refused = reference_problem(text)
        if refused:
            code, message, fix = refused
            return Problem(code, message, fix=fix, path=given.key, file=COMMAND_LINE)
    if given.is_group and not given.prefix.startswith("~"):
        return _unknown_option(session, given, inside)
    return None


def _unknown_option(session: Session, given: Given, value: Any) -> Problem | None:
    options = session.snapshot.options(given.key)
    wanted = value if isinstance(value, list) else [value]
    wanted = [name for one in wanted for name in (one if isinstance(one, list) else [one])]
    for name in wanted:
        if isinstance(name, str) and name not in options and not session.snapshot.is_nested(given.key, name):
            return unknown_option(given.key, name, options).at(COMMAND_LINE)
        if not isinstance(name, str) and name is not None:
            fix = f"known: {', '.join(options)}"
            return Problem("unknown_option", f"{given.key} takes names of options", given.key, COMMAND_LINE, fix=fix)
    return None


def unknown_option(group: str, name: str, options: Sequence[str]) -> Problem:
    """Word that a group has no such option."""
    from difflib import get_close_matches

    near = get_close_matches(name, options, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    fix = f"{hint}known: {', '.join(options)}" if options else f"write conf/{group}/{name}.yaml"
    return Problem("unknown_option", f"{group} has no option {name!r}", group.replace("/", "."), fix=fix)


def exists(raw: Any, key: str) -> bool:
    """Tell whether an unresolved configuration has a key; below a reference Hydra decides."""
    node = raw
    for part in key.split("."):
        if isinstance(node, str) and "${" in node:
            return True
        if isinstance(node, dict) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            return False
    return True


def completed(given: Given, raw: Any) -> Given | Problem:
    """Let a plain override add a key that the schema knows and the base lacks: it is recorded as `++key`.

    Returns a problem for a key that neither knows.
    """
    if given.is_group or given.prefix or exists(raw, given.key):
        return given
    path = given.key.split(".")
    if shapes_at(path):
        return replace(given, prefix="++", text=f"++{given.text}")
    problem = unknown_key(given.key).at(COMMAND_LINE)
    if under(given.key, "sweep.grid"):
        axis = given.key.removeprefix("sweep.grid.")
        problem = replace(problem, fix=f"give the axis itself: {axis}=1,2")
    return problem


def unknown_key(key: str) -> Problem:
    """Word that no key of this name can be set."""
    return Problem("unknown_key", "is no known key", key, fix=suggestion(key.split(".")))
