"""What composing gives: an experiment, its points, and the files it was made of."""

from dataclasses import dataclass, field
from typing import Any

from ftspec.compose.project import Project
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import Experiment


@dataclass(frozen=True)
class ConfigFile:
    """One file that was read: `path` relative to the project root, or `conf:...` for a built-in block."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Point:
    """One run to be: `config` and `hydra_config` are read-only by agreement, since points may share parts.

    `label` is short, stable, unique in its experiment and safe as a folder name. `coordinates` holds the value of each
    swept key in axis order; `overrides` are the ordered Hydra override strings that make this run out of the file.
    `config` is the validated experiment as plain data: every value written out, in the schema's order, texts read, no
    sweep. `hydra_config` is what Hydra composed, unresolved, without sweep. `defaults` names the files it was merged
    from as `ConfigFile` does; later ones win.
    """

    label: str
    coordinates: dict[str, Any]
    overrides: tuple[str, ...]
    config: dict[str, Any]
    hydra_config: dict[str, Any]
    experiment: Experiment
    defaults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Composed:
    """An experiment with all its points; `experiment` and `config` are the base point and keep the sweep block.

    `points` has one point labelled `default` where nothing is swept. `swept` maps each axis to its values. `ad_hoc`
    says that the command line changed something. `counts` tells how many points each way of composing made.
    """

    project: Project
    name: str
    experiment: Experiment
    config: dict[str, Any]
    points: tuple[Point, ...]
    files: tuple[ConfigFile, ...]
    swept: dict[str, list[Any]]
    ad_hoc: bool
    overrides: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
