"""Weights on disk: an npz without pickle that names its base; identity is the digest of the values, not the archive."""

import io
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ftspec.engine.bases import SCRATCH_LABELS, Base, resolve
from ftspec.engine.fingerprint import digest
from ftspec.engine.model import Config, Parameters, initialize
from ftspec.spec.errors import DataError
from ftspec.storage import sha256_file, write_atomic

BASE_KEY = "base_name"


def save(parameters: Parameters, path: Path, *, base: str, dtype: str = "float32") -> str:
    """Write the weights whole or not at all; return the digest of what a reader gets back in float32."""
    arrays = {name: view.astype(dtype) for name, view in parameters.views.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, **{BASE_KEY: np.array(base)})  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())
    return digest(widen(arrays, parameters.config))


def widen(arrays: dict[str, np.ndarray], config: Config) -> Parameters:
    """Arrays of any float type as parameters of the config's type. Raises ValueError where names or shapes differ."""
    parameters = Parameters(config)
    for name, view in parameters.views.items():
        if name not in arrays or arrays[name].shape != view.shape or arrays[name].dtype.kind != "f":
            raise ValueError(f"the array {name} is missing or has another shape")
        view[...] = arrays[name]
    if not np.isfinite(parameters.flat).all():
        raise ValueError("the weights hold values that are no numbers")
    return parameters


def read(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The base name and the arrays of an npz. Raises DataError (`broken_weights`)."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return str(arrays.pop(BASE_KEY)), arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError("broken_weights", f"the weights are not readable: {error}", file=str(path)) from error


def load(path: Path, expected: str | None = None) -> tuple[Base, Parameters]:
    """Tuned weights and their base. Raises DataError where they are broken or have not the `expected` digest."""
    name, arrays = read(path)
    base = resolve(name)
    try:
        parameters = widen(arrays, Config(**base.config))
    except ValueError as error:
        raise DataError("broken_weights", str(error), file=str(path)) from error
    if expected is not None and digest(parameters) != expected:
        message = f"the weights have the digest {digest(parameters)[:12]}, not {expected[:12]}"
        raise DataError("digest_mismatch", message, file=str(path))
    return base, parameters


def load_base(base: Base) -> Parameters:
    """Weights of a base; the shipped files are checked against its digest. Raises DataError."""
    if base.weights is None:
        return initialize(Config(**base.config), *SCRATCH_LABELS)
    return load(base.weights, base.digest)[1]


def describe(parameters: Parameters, folder: Path) -> dict[str, object]:
    """What `base.json` says about the files of a base in `folder`."""
    files = {name: sha256_file(folder / name) for name in ("weights.npz", "merges.json")}
    return {"config": asdict(parameters.config), "files": files}
