"""Hydra in process: the Compose API over a snapshot of files, on 1.3.8 and on 1.4.

The one module that knows private names of Hydra. Its state is process-wide, so sessions take turns. Composing never
imports a plugin that lies on `sys.path`: a stub `hydra_plugins` package stands there while Hydra looks for some.
Hydra's own warnings stay inside.
"""

import contextlib
import functools
import io
import sys
import threading
import types
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from ftspec.compose.document import Node
from ftspec.compose.sources import Loaded, Snapshot
from ftspec.spec.errors import Problem

MAX_OVERRIDE = 4096

_turns = threading.RLock()
_active: "Session | None" = None


@functools.cache
def _hydra() -> Any:
    """Import hydra once, with no foreign plugin, and teach it to read snapshots. Returns the imported names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stub = types.ModuleType("hydra_plugins")
        stub.__path__ = []
        hidden = sys.modules.get("hydra_plugins")
        sys.modules["hydra_plugins"] = stub
        try:
            names = _import()
            plugins = names.Plugins.instance()
        finally:
            if hidden is None:
                del sys.modules["hydra_plugins"]
            else:
                sys.modules["hydra_plugins"] = hidden
        for plugin in _plugins(names):
            plugins.register(plugin)
    return names


def _import() -> Any:
    import hydra
    from hydra import errors
    from hydra._internal import config_loader_impl
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.defaults_list import Overrides
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.object_type import ObjectType
    from hydra.core.override_parser import types as override_types
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.plugins import Plugins
    from hydra.plugins import config_source
    from hydra.plugins.search_path_plugin import SearchPathPlugin
    from hydra.types import RunMode
    from hydra.version import VersionBase
    from omegaconf import OmegaConf, open_dict
    from omegaconf import basecontainer as loading
    from omegaconf.errors import OmegaConfBaseException

    major, minor = (int(part) for part in hydra.__version__.split(".")[:2])
    return types.SimpleNamespace(
        # 1.4 deprecates the parameter and warns whenever it is given.
        base={} if (major, minor) >= (1, 4) else {"version_base": "1.3"},
        compose=hydra.compose,
        config_loader_impl=config_loader_impl,
        # Some mistakes in defaults lists end in an assertion, or in a lookup that fails.
        errors=(
            *(errors.HydraException, OmegaConfBaseException, ValueError, TypeError, RecursionError),
            *(AssertionError, AttributeError, LookupError),
        ),
        initialize_config_dir=hydra.initialize_config_dir,
        ConfigLoaderImpl=ConfigLoaderImpl,
        ConfigLoadError=config_source.ConfigLoadError,
        ConfigResult=config_source.ConfigResult,
        ConfigSource=config_source.ConfigSource,
        GlobalHydra=GlobalHydra,
        ObjectType=ObjectType,
        OmegaConf=OmegaConf,
        Overrides=Overrides,
        OverridesParser=OverridesParser,
        Plugins=Plugins,
        RunMode=RunMode,
        SearchPathPlugin=SearchPathPlugin,
        VersionBase=VersionBase,
        # Made in another module of each version, and used in this one by all.
        get_yaml_loader=vars(loading)["get_yaml_loader"],
        open_dict=open_dict,
        override_types=override_types,
    )


def _plugins(h: Any) -> tuple[Any, Any]:
    """Make the two plugins: a search path of our layers, and a source that reads them from the active snapshot."""

    class SnapshotSource(h.ConfigSource):  # type: ignore[misc]
        """Configuration files of one layer of the active session."""

        @staticmethod
        def scheme() -> str:
            return "ftspec"

        def load_config(self, config_path: str) -> Any:
            loaded = _snapshot().load(self.path, self._normalize_file_name(config_path))
            if loaded is None:
                raise h.ConfigLoadError(f"Config not found : {config_path}")
            # A refused file composes as an empty one, so that the problems of all files are reported together.
            config = h.OmegaConf.create({}) if loaded.refused else _read(h, loaded)
            return h.ConfigResult(
                config=config, path=f"ftspec://{self.path}", provider=self.provider, header={"package": None}
            )

        def available(self) -> bool:
            return True

        def is_group(self, config_path: str) -> bool:
            # Experiments are primary configs only: a folder beside them is no group.
            if self.path == "experiments":
                return config_path == ""
            return _snapshot().entries(self.path, config_path.strip("/")) is not None

        def is_config(self, config_path: str) -> bool:
            return _snapshot().has(self.path, self._normalize_file_name(config_path))

        def list(self, config_path: str, results_filter: Any) -> list[str]:
            found = []
            for name in _snapshot().entries(self.path, config_path.strip("/")) or ():
                if name.endswith("/") and results_filter in (None, h.ObjectType.GROUP):
                    found.append(name.rstrip("/"))
                elif name.endswith(".yaml") and results_filter in (None, h.ObjectType.CONFIG):
                    found.append(name.removesuffix(".yaml"))
            return sorted(set(found))

    class Layers(h.SearchPathPlugin):  # type: ignore[misc]
        """Puts the layers of the active session on the search path; does nothing while ftspec is not composing."""

        def manipulate_search_path(self, search_path: Any) -> None:
            if _active is None:
                return
            elements = search_path.get_path()
            main = next(element for element in elements if element.provider == "main")
            first, *rest = _active.snapshot.layers
            main.path = f"ftspec://{first.name}"
            for layer in rest:
                search_path.append(provider="ftspec", path=f"ftspec://{layer.name}")

    return SnapshotSource, Layers


def _read(h: Any, loaded: Loaded) -> Any:
    """Read YAML as Hydra does; what only its reader refuses is reported like the scan's findings."""
    try:
        config = h.OmegaConf.create(_left(h, loaded)) if loaded.holes else h.OmegaConf.load(io.StringIO(loaded.text))
        for entry, option in sorted(loaded.left_out, key=lambda one: (one[0], one[1] or 0), reverse=True):
            if option is None:
                del config.defaults[entry]
            else:
                del next(iter(config.defaults[entry].values()))[option]
        return config
    except (yaml.YAMLError, *h.errors) as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        said = getattr(error, "problem", None) or str(error)
        loaded.refuse(Problem("yaml", f"cannot be read: {said}", "", loaded.shown, line, column))
        return h.OmegaConf.create({})


def _left(h: Any, loaded: Loaded) -> Any:
    """Return what is left of a mended file, each value as Hydra's loader reads it."""
    loader = h.get_yaml_loader()("")

    def value(node: Node) -> Any:
        if node.kind == "map":
            return {str(key.value): value(below) for key, below in node.value}
        if node.kind == "list":
            return [value(item) for item in node.value]
        tag = loader.resolve(yaml.ScalarNode, node.value, (node.plain, not node.plain))
        return loader.construct_object(yaml.ScalarNode(tag, node.value))

    assert loaded.document is not None
    return value(loaded.document.root) if loaded.document.root is not None else {}


def _snapshot() -> Snapshot:
    assert _active is not None
    return _active.snapshot


class Session:
    """Composes the experiments of one snapshot; use it inside `opened`."""

    def __init__(self, snapshot: Snapshot, name: str) -> None:
        self.snapshot = snapshot
        self.name = name
        self.hydra = _hydra()
        self.composes = 0
        self._orders: dict[tuple[str, ...], Any] = {}
        self._parsed: dict[str, Any] = {}
        self._values: dict[str, bool] = {}

    @property
    def loader(self) -> Any:
        """Hydra's config loader of this session."""
        return self.hydra.GlobalHydra.instance().config_loader()

    def compose(self, overrides: Sequence[str]) -> Any:
        """Compose with Hydra itself: an OmegaConf configuration in struct mode. Raises Hydra's own errors."""
        self.composes += 1
        with self._recorded(tuple(overrides)):
            return self.hydra.compose(config_name=self.name, overrides=list(overrides))

    @contextlib.contextmanager
    def _recorded(self, overrides: tuple[str, ...]) -> Iterator[None]:
        """Keep the defaults list that composing makes: finding the order of merging again is half of a composition."""
        module = self.hydra.config_loader_impl
        create = module.create_defaults_list

        def recording(*arguments: Any, **named: Any) -> Any:
            self._orders[overrides] = found = create(*arguments, **named)
            return found

        module.create_defaults_list = recording
        try:
            yield
        finally:
            module.create_defaults_list = create

    def parse(self, text: str) -> Any:
        """Parse one override with Hydra's grammar, once. Raises Hydra's own errors."""
        if text not in self._parsed:
            self._parsed[text] = self._parser.parse_overrides([text])[0]
        return self._parsed[text]

    @functools.cached_property
    def _parser(self) -> Any:
        return self.hydra.OverridesParser.create(config_loader=self.loader)

    def is_value(self, override: Any) -> bool:
        """Tell whether Hydra would apply an override to the values (not to the choice of a group)."""
        text = override.input_line
        if text not in self._values:
            found = self.hydra.Overrides(self.loader.repository, [override]).config_overrides
            self._values[text] = bool(found)
        return self._values[text]

    def is_group(self, key: str) -> bool:
        """Tell whether a key names a configuration group."""
        return bool(self.loader.repository.group_exists(key))

    def apply(self, overrides: Sequence[Any], config: Any) -> None:
        """Apply value overrides to a configuration with Hydra's own function."""
        self.hydra.ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)

    def merge_order(self, groups: Sequence[str]) -> list[tuple[str, str]]:
        """Return (config path, package) of each file in the order of merging, later wins."""
        plan = self._orders.get(tuple(groups))
        if plan is None:
            plan = self.loader.compute_defaults_list(self.name, list(groups), self.hydra.RunMode.RUN)
        return [(entry.config_path, entry.package or "") for entry in plan.defaults if entry.config_path]

    def source_of(self, config_path: str) -> str | None:
        """Return the layer that serves a file, or None for Hydra's own."""
        found = self.loader.repository.load_config(config_path)
        if found is None or not found.path.startswith("ftspec://"):
            return None
        return str(found.path.removeprefix("ftspec://"))

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What composing raises for a wrong configuration."""
        found: tuple[type[Exception], ...] = self.hydra.errors
        return found


@contextlib.contextmanager
def opened(snapshot: Snapshot, name: str, folder: str) -> Iterator[Session]:
    """Open Hydra for one experiment; `folder` is the experiments folder, as an absolute path."""
    global _active
    with _turns, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = Session(snapshot, name)
        before, _active = _active, session
        try:
            with (
                _kept(session.hydra),
                session.hydra.initialize_config_dir(config_dir=folder, job_name="ftspec", **session.hydra.base),
            ):
                yield session
        finally:
            _active = before


@contextlib.contextmanager
def _kept(h: Any) -> Iterator[None]:
    """Leave Hydra as it was found: a notebook or a `@hydra.main` program around us may be using it."""
    versions = h.VersionBase.instance()
    running, base = h.GlobalHydra.instance().hydra, versions.version_base
    h.GlobalHydra.instance().hydra = None
    try:
        yield
    finally:
        h.GlobalHydra.instance().hydra = running
        versions.version_base = base


def scan_problems(snapshot: Snapshot) -> list[Problem]:
    """Return what the scan found in the files loaded so far, in search order."""
    order = {layer.name: number for number, layer in enumerate(snapshot.layers)}
    loaded = sorted(snapshot.loaded.values(), key=lambda file: (order[file.layer], file.path))
    return [problem for file in loaded for problem in file.problems]
