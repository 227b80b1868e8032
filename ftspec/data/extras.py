"""Packages that only some projects need, imported where they are used."""

import importlib
from typing import Any

from ftspec.spec.errors import DataError


def extra(module: str, name: str, file: str) -> Any:
    """Import a module of an extra. Raises DataError `missing_extra` that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"reading {file} needs the package {module.partition('.')[0]}, which is not installed ({error})"
        raise DataError("missing_extra", message, file=file, fix=f"pip install 'ftspec[{name}]'") from error
