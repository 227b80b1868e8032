"""Contracts with Hydra, so that a new version of it fails loudly here; threads; warnings."""

import inspect
import threading
import warnings
from typing import Any

import hydra
import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import Overrides

from ftspec.compose import Project, load
from ftspec.compose.session import opened
from ftspec.compose.sources import Snapshot


def test_version_is_one_we_know() -> None:
    assert tuple(map(int, hydra.__version__.split(".")[:2])) in {(1, 3), (1, 4)}


def test_private_names() -> None:
    assert list(inspect.signature(ConfigLoaderImpl._apply_overrides_to_config).parameters) == ["overrides", "cfg"]
    assert callable(config_loader_impl.create_defaults_list)
    assert list(inspect.signature(Overrides.__init__).parameters) == ["self", "repo", "overrides_list"]
    assert "config_overrides" in Overrides.__annotations__


def test_no_warning_leaks(make_project: Any) -> None:
    """An experiment without `_self_` makes Hydra warn; the order it then uses is the one we want."""
    project = make_project("", {"experiments/y.yaml": "defaults: [x]\nseed: 3\n"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert load(project, "y").experiment.seed == 3
    assert caught == []


def test_threads_take_turns(make_files: Any, tmp_path: Any) -> None:
    text = "defaults: [config, _self_]\nmodel: tiny\ndataset: {sources: [{path: a}]}\nseed: %d\n"
    names = [f"e{number}" for number in range(6)]
    project: Project = make_files({f"experiments/{name}.yaml": text % int(name[1:]) for name in names})
    found: dict[str, Any] = {}

    def run(name: str) -> None:
        found[name] = load(project, name).experiment.seed

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: int(name[1:]) for name in names}


def test_a_file_that_may_not_be_read(make_project: Any) -> None:
    import os

    from ftspec.spec.errors import StorageError

    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    project = make_project()
    (project.experiments / "x.yaml").chmod(0)
    with pytest.raises(StorageError) as caught:
        load(project, "x")
    assert caught.value.code == "unreadable"


def test_the_order_of_merging_is_kept_from_composing(make_project: Any) -> None:
    project = make_project("weights: {train_on: assistant}\n")
    with opened(Snapshot.of(project), "x", str(project.experiments)) as session:
        fresh = session.merge_order(())
        session.compose(())
        assert session.merge_order(()) == fresh
        assert session.merge_order(("weights=assistant",)) == fresh
