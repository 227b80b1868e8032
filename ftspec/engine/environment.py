"""The pinned environment of worker processes; it must be set before numpy is imported, hence child processes.

One BLAS thread, one choice of kernels: with these pins, machines with AVX2 and with AVX-512 do the same arithmetic.
"""

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
FEATURES = "NPY_DISABLE_CPU_FEATURES"
NEWER_THAN_AVX2 = "X86_V4 AVX512_ICL AVX512_SPR"
# glibc gives freed arrays back to the system and faults them in again, a fifth of the time of a step, unless told so.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "268435456", "MALLOC_TRIM_THRESHOLD_": "268435456"}
KEPT = ("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
KEPT_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV")
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


@cache
def has_avx2() -> bool:
    """Whether this x86-64 processor has AVX2, without which the Haswell kernels are illegal instructions."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        if sys.platform == "darwin":
            answer = subprocess.run(["sysctl", "-n", "hw.optional.avx2_0"], capture_output=True, text=True, check=False)
            return answer.stdout.strip() == "1"
        return any(" avx2 " in f"{line} " for line in Path("/proc/cpuinfo").read_text().splitlines())
    except OSError:
        return False


def environment() -> dict[str, str]:
    """The whole environment of a worker: what Python needs, the pins, and nothing else (no keys, no proxies)."""
    child = {name: os.environ[name] for name in (*KEPT, *KEPT_PYTHON) if name in os.environ}
    paths = [str(PACKAGE_ROOT), *child.get("PYTHONPATH", "").split(os.pathsep)]
    child["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
    child |= {"PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PYTHONHASHSEED": "0"}
    child |= dict.fromkeys(THREADS, "1")
    child |= KEEP_MEMORY
    if has_avx2():
        child |= {"OPENBLAS_CORETYPE": "Haswell", FEATURES: NEWER_THAN_AVX2}
    return child


def is_pinned() -> bool:
    """Whether this process was started with the pins."""
    return all(os.environ.get(name) == "1" for name in THREADS)


def require_pins(module: str) -> None:
    """Start `python -m module` again under the pins if this process has none; call it before numpy is imported."""
    if not is_pinned():
        _restart(module, environment())


def require_numpy(module: str) -> None:
    """Import numpy in a worker, `python -m module` with this process's arguments, under the pins.

    A numpy built with AVX-512 as its baseline refuses to start with those features disabled: then the process starts
    once more without that pin, which the fingerprint shows.
    """
    require_pins(module)
    try:
        import numpy  # noqa: F401
    except (RuntimeError, ImportError):
        if FEATURES not in os.environ:
            raise
        _restart(module, {name: value for name, value in os.environ.items() if name != FEATURES})


def _restart(module: str, child: dict[str, str]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], child)
