"""YAML to Experiment to runs: Hydra composition, expansion, source positions and the scan of what is not trusted.

Names are imported on first use, so that finding a project costs neither hydra nor pydantic.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftspec.compose.composed import Composed, ConfigFile, Point
    from ftspec.compose.loading import attempt, load
    from ftspec.compose.project import Project, builtin_conf
    from ftspec.compose.remains import Part, Remains
    from ftspec.compose.sites import Site
    from ftspec.compose.tracing import where
    from ftspec.compose.verify import verify_with_hydra

__all__ = [
    "Composed",
    "ConfigFile",
    "Part",
    "Point",
    "Project",
    "Remains",
    "Site",
    "attempt",
    "builtin_conf",
    "load",
    "verify_with_hydra",
    "where",
]

_HOMES = {
    "Composed": "composed",
    "ConfigFile": "composed",
    "Part": "remains",
    "Point": "composed",
    "Project": "project",
    "Remains": "remains",
    "Site": "sites",
    "attempt": "loading",
    "builtin_conf": "project",
    "load": "loading",
    "verify_with_hydra": "verify",
    "where": "tracing",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ftspec.compose' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ftspec.compose.{_HOMES[name]}"), name)
