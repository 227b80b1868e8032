"""Digests of weights and the fingerprint of the arithmetic that made them.

Equal fingerprints demand equal weights digests; under different ones only metrics within a tolerance are promised.
"""

import hashlib
import os
import platform
from typing import Any

import numpy as np

from ftspec.engine.bases import CONTRACT
from ftspec.engine.environment import FEATURES
from ftspec.engine.model import Parameters

ENGINE = "builtin"


def digest(parameters: Parameters) -> str:
    """Identity of weights: sha256 over names, dtypes, shapes and little-endian bytes in name order."""
    state = hashlib.sha256()
    for name in sorted(parameters.views):
        view = parameters.views[name]
        values = np.ascontiguousarray(view, view.dtype.newbyteorder("<"))
        state.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        state.update(values.tobytes())
    return state.hexdigest()


def numerics() -> dict[str, Any]:
    """What decides the bits on this machine; `np.show_config` reflects the disabled processor features."""
    config: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return {
        "engine": ENGINE,
        "contract": CONTRACT,
        "numpy": np.__version__,
        "blas": blas.get("name", ""),
        "blas_version": blas.get("version", ""),
        "blas_configuration": " ".join(str(blas.get("openblas configuration", "")).split()),
        "simd": list(config.get("SIMD Extensions", {}).get("found", [])),
        "disabled": os.environ.get(FEATURES, ""),
        "core_type": os.environ.get("OPENBLAS_CORETYPE", ""),
        "threads": os.environ.get("OPENBLAS_NUM_THREADS", ""),
        "machine": platform.machine(),
        "system": platform.system(),
    }


def fingerprint(*, base: str, tokenizer: str) -> dict[str, Any]:
    """The numerics with the digests of what training starts from."""
    return numerics() | {"base_digest": base, "tokenizer_digest": tokenizer}


def fingerprint_id(values: dict[str, Any]) -> str:
    """A short name of a fingerprint, such as stands in `system_fingerprint` of an answer."""
    text = "\n".join(f"{key}={values[key]}" for key in sorted(values))
    return "fp_" + hashlib.sha256(text.encode()).hexdigest()[:12]
