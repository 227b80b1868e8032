"""The pinned environment: nothing secret goes in, and a numpy that refuses the pins still starts."""

import os
import subprocess
import sys

from ftspec.engine.environment import FEATURES, environment, has_avx2


def test_no_secret_reaches_a_worker(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@host")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    child = environment()
    assert not any("secret" in value for value in child.values())
    assert child["OMP_NUM_THREADS"] == child["OPENBLAS_NUM_THREADS"] == "1"
    assert child["PATH"] == os.environ["PATH"]
    assert (FEATURES in child) == has_avx2()


def test_the_numerics_see_the_pins(pinned):
    code = "from ftspec.engine.fingerprint import numerics; n = numerics(); print(n['threads'], *n['simd'])"
    threads, *simd = pinned(code).split()
    assert threads == "1"
    assert not any("AVX512" in name or name == "X86_V4" for name in simd)


def test_two_threads_are_another_fingerprint(pinned):
    code = "from ftspec.engine.fingerprint import fingerprint_id, numerics; print(fingerprint_id(numerics()))"
    assert pinned(code) == pinned(code)
    assert pinned(code) != pinned(code, OPENBLAS_NUM_THREADS="2")


CODE = "import sys; sys.argv[1:] = {!r}; from ftspec.engine.environment import require_numpy; require_numpy({!r})"


def test_a_process_without_pins_starts_again_with_them():
    bare = {key: value for key, value in environment().items() if not key.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", CODE.format([], "ftspec.engine.generator")]
    done = subprocess.run(command, env=bare, input=b'{"id": 1}\n', capture_output=True, timeout=60)
    assert b'"id": 1' in done.stdout, done.stderr


def test_a_numpy_that_refuses_a_pin_starts_without_it():
    refused = environment() | {FEATURES: "X86_V2"}
    tried = subprocess.run([sys.executable, "-c", "import numpy"], env=refused, capture_output=True, timeout=60)
    command = [sys.executable, "-c", CODE.format([], "ftspec.engine.generator")]
    done = subprocess.run(command, env=refused, input=b'{"id": 1}\n', capture_output=True, timeout=60)
    assert tried.returncode == 0 or b'"id": 1' in done.stdout, done.stderr
