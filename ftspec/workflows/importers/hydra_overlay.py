"""A Hydra configuration with package headers or a `hydra:` key as an experiment without them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ftspec.compose.convert import sweep_block
from ftspec.compose.references import reference_problem
from ftspec.compose.shape import shapes_at
from ftspec.spec.experiment import GROUPS
from ftspec.workflows.importers.sketch import Reader, Sketch

_PACKAGE = re.compile(r"^\s*#\s*@\s*package\s+(\S+)", re.MULTILINE)
_OWN = "Hydra's own settings are refused: they can load code"
_GROUP = re.compile(r"^(?:override\s+)?/?([A-Za-z_]+)$")


def is_overlay(text: str, content: Any) -> bool:
    """Tell whether a YAML text is a Hydra configuration."""
    return isinstance(content, Mapping) and bool(_PACKAGE.search(text) or {"hydra", "defaults"} & content.keys())


def sketch_overlay(text: str, content: Mapping[str, Any], data: str | None) -> Sketch:
    """Say what an overlay says; what the schema of an experiment does not know has no equal.

    An overlay that names no model or no data gets `tiny` and `data`, and a note that says so.
    """
    overlay = Reader(content)
    choices = _choices(overlay)
    hydra = overlay.take("hydra")
    found = _PACKAGE.search(text)
    package = found[1] if found else "_global_"
    body: dict[str, Any] = dict(overlay.rest)
    for part in reversed([part for part in package.split(".") if part not in ("_global_", "_group_")]):
        body = {part: body}
    overlay.rest = {}
    keys: dict[str, Any] = _known(body, (), overlay)
    notes = []
    if "model" not in keys:
        keys = {"model": "tiny", **keys}
        notes.append("the overlay names no model: tiny stands in")
    dataset = keys.get("dataset", {})
    if "dataset" not in choices and isinstance(dataset, Mapping) and "sources" not in dataset:
        keys["dataset"] = {"sources": [{"path": data or "data/train.jsonl"}], **dataset}
        notes.append(f"the overlay names no data: {data or 'data/train.jsonl'} stands in")
    elif data is not None:
        notes.append(f"the overlay names its data: {data} is not used")
    if isinstance(hydra, Mapping):
        _swept(hydra, keys, overlay, notes)
    else:
        overlay.lose("hydra", hydra, _OWN)
    return Sketch(keys, choices, None, tuple(notes), tuple(overlay.unequal))


def _swept(hydra: Mapping[str, Any], keys: dict[str, Any], overlay: Reader, notes: list[str]) -> None:
    """Say what Hydra's sweeper sweeps as a block of the experiment; nothing else of Hydra's own has an equal."""
    import yaml

    rest = dict(hydra)
    sweeper = hydra.get("sweeper")
    params = sweeper.get("params") if isinstance(sweeper, Mapping) else None
    if isinstance(sweeper, Mapping) and isinstance(params, Mapping) and params:
        says = yaml.safe_load(sweep_block(params))["sweep"]
        own = _kept(keys.get("sweep"), "sweep", says, overlay)
        grid = _kept(own.get("grid"), "sweep.grid", says["grid"], overlay)
        keys["sweep"] = {**own, "grid": {**grid, **says["grid"]}}
        if any(isinstance(value, list) for value in params.values()):
            notes.append("a list was one value in hydra.sweeper.params; drop the outer [ ] to sweep over its items")
        rest["sweeper"] = {name: item for name, item in sweeper.items() if name != "params"}
    for key, value in rest.items():
        overlay.lose(f"hydra.{key}", value, _OWN)


def _kept(own: Any, at: str, says: Mapping[str, Any], overlay: Reader) -> Mapping[str, Any]:
    """Return what an overlay's own block says beside Hydra's sweeper; what both say is the sweeper's."""
    if not isinstance(own, Mapping):
        overlay.lose(at, own, "hydra.sweeper.params says what is swept")
        return {}
    for key, value in own.items():
        if key in says and key != "grid":
            overlay.lose(f"{at}.{key}", value, "hydra.sweeper.params sweeps it")
    return own


def _choices(overlay: Reader) -> dict[str, Any]:
    """Return the options of groups that the defaults list chooses."""
    choices: dict[str, Any] = {}
    entries = overlay.take("defaults") or []
    entries = entries if isinstance(entries, list) else [entries]
    if "_self_" in entries[:-1]:
        overlay.lose("defaults", "_self_", "own keys stand last in an experiment: they win over the options here")
    for entry in entries:
        if not isinstance(entry, Mapping):
            if entry not in ("_self_", "config"):
                overlay.lose("defaults", entry, "builds on a file that is not known here")
            continue
        for key, option in entry.items():
            group = _GROUP.match(str(key))
            if group and group[1] in GROUPS:
                choices[group[1]] = option
            else:
                overlay.lose("defaults", {key: option}, "packages (@), and groups that an experiment does not have")
    return choices


def _known(value: Any, at: Sequence[str | int], overlay: Reader) -> Any:
    """Return what the schema knows of a value; everything else is noted."""
    if isinstance(value, Mapping):
        kept = {}
        for key, item in value.items():
            here = (*at, str(key))
            if not shapes_at(here):
                overlay.lose(".".join(map(str, here)), item, "no key of an experiment")
                continue
            taken = _known(item, here, overlay)
            if taken is not None or item is None:
                kept[str(key)] = taken
        return kept
    if isinstance(value, list):
        kept_items = ((item, _known(item, (*at, number), overlay)) for number, item in enumerate(value))
        return [taken for item, taken in kept_items if taken is not None or item is None]
    if isinstance(value, str) and "${" in value and reference_problem(value):
        overlay.lose(".".join(map(str, at)), value, "resolvers are refused: a spec is the same on every machine")
        return None
    return value
