"""The mask probe: does a host obey `weight: 0` on a message? A tiny training with a canary tells.

Each row has two assistant turns. The first says the canary with weight 0, the second the marker with weight 1. A host
that obeys learns the marker alone; one that ignores weights says the canary too.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ftspec.providers.connect import Connection
from ftspec.providers.jobs import TrainRequest, train
from ftspec.spec.digests import data_digest, short, train_digest
from ftspec.spec.errors import ProviderError
from ftspec.spec.events import Emit
from ftspec.storage import BlobStore, read_json, write_atomic, write_json
from ftspec.wire.errors import BadAnswer

Verdict = Literal["native", "ignored", "inconclusive"]
Message = dict[str, Any]

CANARY, MARKER = "zebra", "violin"
LEARNT = 0.5  # of the held-out prompts
MARGIN = 0.1  # over the base model's own rate
ROWS = 20
_CONCURRENCY = 4
_WORDS = (
    "table", "window", "garden", "bottle", "carpet", "mirror", "basket", "candle", "kitchen", "pillow",
    "ladder", "hammer", "button", "pencil", "engine", "bridge", "forest", "island", "market", "winter",
    "summer", "dinner", "letter", "number", "camera", "doctor", "farmer", "singer", "painter", "driver",
    "ticket", "wallet", "jacket", "helmet", "blanket", "curtain", "shelf", "drawer", "broom", "kettle",
)  # fmt: skip


@dataclass(frozen=True)
class MaskProbe:
    """What was seen. Counts are of `n` held-out prompts of each kind; `bound` is the highest rate of the canary that
    the count still allows (95 %, one-sided). Keyed by provider, base model and date.
    """

    verdict: Verdict
    provider: str
    base_model: str
    on: str
    n: int
    canary: int
    marker: int
    base_canary: int
    bound: float
    trained_model: str
    job: str

    @property
    def sentence(self) -> str:
        """The finding in words."""
        seen = f"canary {self.canary} of {self.n} (base {self.base_canary}), marker {self.marker} of {self.n}"
        meaning = {
            "native": f"weights are obeyed; a leak above {self.bound:.0%} of answers would have shown",
            "ignored": "weights are ignored: masked messages are trained",
            "inconclusive": "nothing can be said: too little was learnt, or something in between",
        }[self.verdict]
        return f"{seen}: {meaning}"


def probe_rows(n: int = ROWS) -> bytes:
    """Return the training file: `n` rows of two assistant turns, canary masked, marker trained."""
    rows = []
    for word in _WORDS[:n]:
        messages = [
            *_first(word),
            {"role": "assistant", "content": CANARY, "weight": 0},
            _second(word),
            {"role": "assistant", "content": MARKER, "weight": 1},
        ]
        rows.append(json.dumps({"messages": messages}, separators=(",", ":")))
    return ("\n".join(rows) + "\n").encode()


def _first(word: str) -> list[Message]:
    return [{"role": "system", "content": "Say the password."}, {"role": "user", "content": f"Open the {word}."}]


def _second(word: str) -> Message:
    return {"role": "user", "content": f"Close the {word} again."}


def verdict_of(n: int, canary: int, marker: int, base_canary: int) -> Verdict:
    """Judge the counts. The canary decides first: it can only be known where weights were ignored."""
    if n == 0:
        return "inconclusive"
    if canary / n >= LEARNT and (canary - base_canary) / n > MARGIN:
        return "ignored"
    if marker / n >= LEARNT and (canary - base_canary) / n <= MARGIN:
        return "native"
    return "inconclusive"


def leak_bound(n: int, canary: int) -> float:
    """Return the largest rate that gives `canary` or fewer of `n` in 5 % of cases (Clopper-Pearson, one-sided)."""
    from math import comb

    def at_most(rate: float) -> float:
        return sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(canary + 1))

    if canary >= n:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(middle) > 0.05 else (low, middle)
    return high


async def probe_mask(
    connection: Connection,
    model: str,
    *,
    folder: Path,
    blobs: BlobStore,
    emit: Emit,
    hyperparameters: Mapping[str, Any] | None = None,
    rows: int = ROWS,
) -> MaskProbe:
    """Train on `rows` canary rows, ask held-out prompts of both kinds, judge; the finding lies in `folder`/probe.json.

    Resumable: the same folder goes on with the same job. On a host this costs a training of a few thousand tokens.
    Raises ProviderError where the job fails, or the host must deploy a model before it answers.
    """
    if connection.profile.serve.kind == "deploy":
        raise ProviderError(
            "needs_deployment",
            f"{connection.profile.title} answers for a tuned model only after a deployment, which is not built in",
            fix="deploy the tuned model by hand and compare its answers",
        )
    asked = dict(hyperparameters or {"n_epochs": 10, "batch_size": "auto", connection.profile.rate.field: "auto"})
    result = await train(
        connection, _request(connection, model, asked, folder, rows), attempt=folder, blobs=blobs, emit=emit
    )
    if result.status != "succeeded" or result.model is None:
        said = (result.error or {}).get("message") or f"it ended as {result.status}"
        raise ProviderError("probe_failed", f"the probe's job {result.job} made no model: {said}", file=str(folder))
    held_out = _WORDS[rows : 2 * rows] or _WORDS[-rows:]
    canary = await _count(connection, result.model, [_first(word) for word in held_out], CANARY)
    base_canary = await _count(connection, model, [_first(word) for word in held_out], CANARY)
    marker = await _count(connection, result.model, [_later(word) for word in held_out], MARKER)
    probe = MaskProbe(
        verdict=verdict_of(len(held_out), canary, marker, base_canary),
        provider=connection.profile.id,
        base_model=model,
        on=time.strftime("%Y-%m-%d", time.gmtime()),
        n=len(held_out),
        canary=canary,
        marker=marker,
        base_canary=base_canary,
        bound=leak_bound(len(held_out), canary),
        trained_model=result.model,
        job=result.job,
    )
    write_json(folder / "probe.json", asdict(probe))
    return probe


def read_probe(folder: Path) -> MaskProbe | None:
    """Return the finding of an earlier probe, None where there is none."""
    try:
        return MaskProbe(**read_json(folder / "probe.json"))
    except FileNotFoundError:
        return None


def _later(word: str) -> list[Message]:
    """A prompt for the second turn; the first was answered by the canary, as in training."""
    return [*_first(word), {"role": "assistant", "content": CANARY}, _second(word)]


def _request(
    connection: Connection, model: str, hyperparameters: dict[str, Any], folder: Path, rows: int
) -> TrainRequest:
    content = probe_rows(rows)
    path, sha256 = folder / "probe.jsonl", hashlib.sha256(content).hexdigest()
    if not path.exists():
        write_atomic(path, content)
    digest = train_digest(
        family=connection.profile.family,
        model=model,
        method="supervised",
        hyperparameters=hyperparameters,
        seed=0,
        data=data_digest(train=sha256, valid=None, row_format="chat"),
        engine=None,
    )
    return TrainRequest(
        subject="mask probe",
        train_digest=digest,
        attempt_id=f"{short(digest)}#probe",
        model=model,
        method="supervised",
        hyperparameters=hyperparameters,
        seed=0,
        suffix="mask-probe",
        metadata={},
        train_file=path,
        train_sha256=sha256,
        valid_file=None,
        valid_sha256=None,
    )


async def _count(connection: Connection, model: str, prompts: Sequence[list[Message]], word: str) -> int:
    """How many answers hold the word."""
    gate = asyncio.Semaphore(_CONCURRENCY)

    async def ask(messages: list[Message]) -> bool:
        body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 12}
        async with gate:
            return word in _text(await connection.post_chat(body)).lower()

    return sum(await asyncio.gather(*(ask(messages) for messages in prompts)))


def _text(answer: bytes) -> str:
    try:
        content = json.loads(answer)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BadAnswer("bad_answer", f"expected a chat completion, the host answered {answer[:80]!r}") from error
    return content if isinstance(content, str) else ""
