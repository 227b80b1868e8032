"""P2: the data path on a chat file of 200 MB against the validate-and-count logic of OpenAI's cookbook notebook.

    python bench/p2_data.py [--megabytes 200] [--pool django|stdlib] [--smoke]

Each arm runs in a process of its own and reports CPU seconds and peak memory; the ratios of one run are the figures.
`counter` is our tokenizer alone, the floor of a cold pass. All may read and write bytecode, as installed packages do,
in a folder of their own that a small run has filled before.
The file is generated (`chat_file.py`; `pip install Django==5.2.19` for the real one) and its sha256 is checked.
The cookbook arm needs tiktoken and the vocabulary files described in docs/figures.md; without them it is left out.
"""

import argparse
import base64
import collections
import hashlib
import itertools
import json
import lzma
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import chat_file

VOCABULARY = Path(__file__).resolve().parents[2] / "shared" / "data" / "vocab"
PATTERN = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)


def tiktoken_o200k() -> Any:
    import tiktoken

    lines = lzma.decompress((VOCABULARY / "o200k_base.tiktoken.xz").read_bytes()).splitlines()
    ranks = {base64.b64decode(line.split()[0]): n for n, line in enumerate(lines)}
    return tiktoken.Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def cookbook(path: Path) -> dict[str, Any]:
    """Load all rows, check their format, count messages and tokens: as the notebook does, guarded for null content."""
    encoding = tiktoken_o200k()
    with path.open("r", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    errors: collections.Counter[str] = collections.Counter()
    for row in rows:
        messages = row.get("messages")
        if not messages:
            errors["missing_messages_list"] += 1
            continue
        for message in messages:
            if "role" not in message or "content" not in message:
                errors["message_missing_key"] += 1
            if any(key not in ("role", "content", "name", "function_call", "weight") for key in message):
                errors["message_unrecognized_key"] += 1
            if message.get("role") not in ("system", "user", "assistant", "function"):
                errors["unrecognized_role"] += 1
            content, call = message.get("content"), message.get("function_call")
            if (not content and not call) or not isinstance(content, str):
                errors["missing_content"] += 1
        if not any(message.get("role") == "assistant" for message in messages):
            errors["example_missing_assistant_message"] += 1
    totals, answers, sizes = [], [], []
    for row in rows:
        total = 3
        answer = 0
        for message in row["messages"]:
            total += 3
            for key, value in message.items():
                if isinstance(value, str):
                    total += len(encoding.encode_ordinary(value))
                if key == "name":
                    total += 1
            if message["role"] == "assistant":
                answer += len(encoding.encode_ordinary(message.get("content") or ""))
        sizes.append(len(row["messages"]))
        totals.append(total)
        answers.append(answer)
    epochs = max(1, min(25, 100 // len(rows))) if 3 * len(rows) < 100 else 3
    billed = sum(min(16385, total) for total in totals)
    return {"rows": len(rows), "tokens": sum(totals), "billed": billed * epochs, "false_errors": sum(errors.values())}


def ours(path: Path, cache: Path, weights: dict[str, Any], *, again: bool = False) -> dict[str, Any]:
    """Prepare the file in a process set as the command's: checked, keyed, counted, split, masked, written, digests."""
    from ftspec.cli.main import settle

    settle()
    from ftspec.data import RowRules, SplintrCounter, prepare
    from ftspec.spec.dataset import Dataset, Weights

    if again:
        path.chmod(0)
    dataset = Dataset.model_validate({"sources": [{"path": path.name}], "split": {"validation": 0.01, "test": 200}})
    done = prepare(
        dataset,
        Weights.model_validate({"on_empty": "drop", **weights}),
        root=path.parent,
        counter=SplintrCounter("o200k_base"),
        cache=cache,
        format=RowRules(max_file_bytes=None),
    )
    train = done.parts["train"]
    return {"rows": sum(p.rows for p in done.parts.values()), "tokens": train.tokens, "learned": train.learned_tokens}


def counter_alone(path: Path) -> dict[str, Any]:
    """Count every text once and nothing else; the seconds are those of the tokenizer: no data path can cost less."""
    from ftspec.data import SplintrCounter

    counter, seconds, tokens = SplintrCounter("o200k_base"), 0.0, 0
    with path.open("rb") as lines:
        while rows := list(itertools.islice(lines, 1000)):
            texts = [text for row in rows for message in json.loads(row)["messages"] for text in texts_of(message)]
            began = time.process_time()
            tokens += sum(counter.count(texts))
            seconds += time.process_time() - began
    return {"cpu": seconds, "tokens": tokens}


def texts_of(message: dict[str, Any]) -> list[str]:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return [message.get("content") or "", *(text for call in calls for text in (call["name"], call["arguments"]))]


ARMS = {
    "cookbook": lambda path, cache: cookbook(path),
    "counter": lambda path, cache: counter_alone(path),
    "cold": lambda path, cache: ours(path, cache, {}),
    "weights": lambda path, cache: ours(path, cache, {"train_on": "last_assistant_message"}),
    "rules": lambda path, cache: ours(
        path, cache, {"rules": [{"name": "no-code", "match": {"content_contains": "```"}, "weight": 0}]}
    ),
    "again": lambda path, cache: ours(path, cache, {}, again=True),
}


def measure(arm: str, path: Path, cache: Path) -> dict[str, Any]:
    """Run one arm in a fresh process."""
    command = [sys.executable, __file__, "--arm", arm, str(path), str(cache)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(cache.parent / "bytecode")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{arm}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def warm_up(path: Path, arms: list[str]) -> None:
    """Run the arms on the first rows, so that no figure holds the compiling of modules."""
    small = path.with_name("small.jsonl")
    with path.open("rb") as rows:
        small.write_bytes(b"".join(itertools.islice(rows, 1000)))
    for arm in [*arms, "cold"]:
        measure(arm, small, path.with_name("warm"))


def run_arm(arm: str, path: Path, cache: Path) -> None:
    found = ARMS[arm](path, cache)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": time.process_time(), "rss_mb": round(peak), **found}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--pool", choices=["django", "stdlib"], default="django")
    parser.add_argument("--smoke", action="store_true", help="1 MB of the standard library's texts, no bars")
    parser.add_argument("--arm", nargs=3)
    options = parser.parse_args()
    if options.arm:
        run_arm(options.arm[0], Path(options.arm[1]), Path(options.arm[2]))
        return 0
    if options.smoke:
        options.megabytes, options.pool = 1, "stdlib"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.jsonl"
        chat_file.write(path, options.megabytes * 1_000_000, options.pool)
        sha256 = hashlib.file_digest(path.open("rb"), "sha256").hexdigest()
        expected = chat_file.SHA256.get(options.megabytes * 1_000_000)
        if options.pool == "django" and expected and expected != sha256:
            print(f"the generated file is another one: {sha256}, expected {expected}")
            return 1
        return report(path, Path(folder) / "cache", sha256, smoke=options.smoke)


def report(path: Path, cache: Path, sha256: str, *, smoke: bool) -> int:
    print(f"{path.stat().st_size / 1e6:.0f} MB, sha256 {sha256}")
    arms = ["cookbook"] if (VOCABULARY / "o200k_base.tiktoken.xz").exists() else []
    warm_up(path, arms)
    found = {arm: measure(arm, path, cache) for arm in [*arms, "counter", "cold", "weights", "rules", "again"]}
    base = found.get("cookbook", {}).get("cpu")
    for arm, values in found.items():
        ratio = f"{values['cpu'] / base:6.3f}" if base else "     -"
        print(f"{arm:9} {values['cpu']:7.2f} s CPU {ratio} {values['rss_mb']:5d} MB  {values}")
    if smoke or base is None:
        return 0
    bars = {
        "cold <= 0.25": found["cold"]["cpu"] <= 0.25 * base,
        "weights <= 0.06": found["weights"]["cpu"] <= 0.06 * base,
        "memory <= 200 MB": max(found[arm]["rss_mb"] for arm in ("cold", "weights", "rules")) <= 200,
    }
    for bar, held in bars.items():
        print(f"{'ok  ' if held else 'MISS'} {bar}")
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
