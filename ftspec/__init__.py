"""Fine-tuning experiments as code.

`load`, `plan` and `run` are the synchronous API, `run_async` the one for notebooks and servers. Names are imported on
first use, so that `import ftspec` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftspec.api import load, plan, run, run_async
    from ftspec.compose import Composed, Point
    from ftspec.spec.errors import FtspecError, Problem
    from ftspec.workflows.plan import Plan
    from ftspec.workflows.results import Results
    from ftspec.workflows.run import RunOptions

__all__ = [
    "Composed",
    "FtspecError",
    "Plan",
    "Point",
    "Problem",
    "Results",
    "RunOptions",
    "load",
    "plan",
    "run",
    "run_async",
]

_HOMES = {
    "load": "ftspec.api",
    "plan": "ftspec.api",
    "run": "ftspec.api",
    "run_async": "ftspec.api",
    "Composed": "ftspec.compose",
    "Point": "ftspec.compose",
    "Plan": "ftspec.workflows.plan",
    "Results": "ftspec.workflows.results",
    "RunOptions": "ftspec.workflows.run",
    "FtspecError": "ftspec.spec.errors",
    "Problem": "ftspec.spec.errors",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ftspec' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names, for editors and notebooks."""
    return sorted(__all__)
