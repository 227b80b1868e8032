"""The fast expander: equal to Hydra's compose() for every run of a sweep, at a hundredth of its cost.

Hydra builds the defaults tree from group choices alone, merges, sets struct mode, and applies value overrides last, in
order. So one compose() per distinct tuple of group overrides is enough; values then go onto copies. Three ways:

- plain: assign on a copy of the resolved plain configuration, when nothing but a leaf can change;
- copy: Hydra's own function on a copy of its configuration, for additions, deletions, mappings and references;
- compose: Hydra itself, for everything else and whenever one of the above fails, so that the words are Hydra's.

The `sweep` node is dropped first, here and on the oracle's side: its texts neither resolve nor count as references.
"""

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ftspec.compose.overrides import KEY, under
from ftspec.compose.references import is_simple, measure, simple_targets, texts
from ftspec.compose.session import Session
from ftspec.spec.errors import Problem

Tree = dict[str, Any]


class UnresolvableError(ValueError):
    """A composed configuration whose references must not or cannot be resolved."""

    def __init__(self, problems: Sequence[tuple[tuple[str | int, ...], Problem]]) -> None:
        super().__init__("; ".join(problem.message for _, problem in problems))
        self.problems = tuple(problems)


class _SlowError(Exception):
    """The plain way cannot be proved equal here."""


@dataclass(frozen=True)
class Run:
    """One composed run: resolved values, the same unresolved, and the sweep block that was dropped (unresolved)."""

    config: Tree
    unresolved: Tree
    sweep: Any
    way: str


@dataclass(frozen=True)
class Base:
    """A composition of group choices. `done` is None where it does not resolve before an override fills it."""

    config: Any
    raw: Tree
    done: Tree | None
    references: frozenset[str]
    sweep: Any


@dataclass
class Expander:
    """Composes the runs of one experiment inside one session."""

    session: Session
    counts: dict[str, int] = field(default_factory=lambda: {"plain": 0, "copy": 0, "compose": 0})

    def __post_init__(self) -> None:
        self.base = functools.cache(self._compose_base)

    def run(self, overrides: Sequence[str], way: str = "") -> Run:
        """Compose one run by the fastest way that is equal, or by `way`. Raises Hydra's errors or UnresolvableError."""
        try:
            made = None if way == "compose" else self._fast(overrides, way)
        except UnresolvableError:
            raise
        except Exception:  # Hydra words the error, or we were too strict
            made = None
        made = made or self.oracle(overrides)
        self.counts[made.way] += 1
        return made

    def oracle(self, overrides: Sequence[str]) -> Run:
        """Compose one run with Hydra alone."""
        config = self.session.compose(overrides)
        sweep = self._drop_sweep(config)
        raw = self._container(config, resolve=False)
        return Run(self._resolved(config, raw), raw, sweep, "compose")

    def sweep_of(self, overrides: Sequence[str]) -> Any:
        """Return the unresolved sweep block of a composition, for overrides that change the block itself."""
        return self._drop_sweep(self.session.compose(overrides))

    def _fast(self, overrides: Sequence[str], way: str) -> Run | None:
        groups: list[Any] = []
        values: list[Any] = []
        for text in overrides:
            override = self.session.parse(text)
            if override.is_sweep_override() or under(override.key_or_group.replace("/", "."), "hydra"):
                return None
            (values if self.session.is_value(override) else groups).append(override)
        base = self.base(tuple(override.input_line for override in groups))
        if way != "copy":
            try:
                return _plain(values, base)
            except _SlowError:
                pass
        config = copy.deepcopy(base.config)
        self.session.apply(values, config)
        # An override may have brought the block back; the oracle would drop it.
        sweep = self._drop_sweep(config)
        raw = self._container(config, resolve=False)
        return Run(self._resolved(config, raw), raw, base.sweep if sweep is None else sweep, "copy")

    def _compose_base(self, groups: tuple[str, ...]) -> Base:
        config = self.session.compose(groups)
        sweep = self._drop_sweep(config)
        raw = self._container(config, resolve=False)
        found = [text for _, text in texts(raw)]
        done = None
        if all(is_simple(text) for text in found):
            try:
                done = self._resolved(config, raw) if found else raw
            except self.session.errors:  # a ??? that an override will fill
                done = None
        return Base(config, raw, done, frozenset(target for text in found for target in simple_targets(text)), sweep)

    def _drop_sweep(self, config: Any) -> Any:
        h = self.session.hydra
        if "sweep" not in config:
            return None
        # OmegaConf would resolve the node if it were asked for it plainly.
        sweep = self._container(config, resolve=False)["sweep"]
        with h.open_dict(config):
            del config["sweep"]
        return sweep

    def _container(self, config: Any, resolve: bool) -> Any:
        return self.session.hydra.OmegaConf.to_container(config, resolve=resolve)

    def _resolved(self, config: Any, raw: Tree) -> Tree:
        problems = measure(raw)
        if problems:
            raise UnresolvableError(problems)
        resolved: Tree = self._container(config, resolve=True)
        return resolved


def _plain(values: Sequence[Any], base: Base) -> Run:
    """Assign leaves on a copy of the resolved base. Raises _SlowError where equality to Hydra is not certain."""
    if base.done is None:
        raise _SlowError
    config = _clone(base.done)
    unresolved = config if base.done is base.raw else _clone(base.raw)
    for override in values:
        key, value = override.key_or_group, override.value()
        if (
            override.type.name != "CHANGE"
            or override.package
            or not KEY.fullmatch(key)
            or isinstance(value, (dict, list))
            or (isinstance(value, str) and ("${" in value or value == "???"))
            or under(key, "sweep")
            or any(under(reference, key) or under(key, reference) for reference in base.references)
        ):
            raise _SlowError
        path = [int(part) if part.isdigit() else part for part in key.split(".")]
        for tree in (config, unresolved):
            _assign(tree, base.raw, path, value)
            if unresolved is config:
                break
    return Run(config, unresolved, base.sweep, "plain")


def _assign(tree: Any, raw: Any, path: Sequence[Any], value: Any) -> None:
    *parents, last = path
    for part in parents:
        if not isinstance(raw, list if isinstance(part, int) else dict):
            raise _SlowError
        tree, raw = tree[part], raw[part]
    if not isinstance(raw, list if isinstance(last, int) else dict):  # a scalar, or a reference to a mapping
        raise _SlowError
    if isinstance(raw[last], (dict, list)):  # Hydra has rules of its own for a leaf over a container
        raise _SlowError
    tree[last] = value


def _clone(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clone(item) for item in value]
    return value
