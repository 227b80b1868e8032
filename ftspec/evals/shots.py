"""Few-shot examples: a fixed set of training rows, chosen by keyed hashes, so that no order of rows matters."""

import hashlib
from collections.abc import Iterable, Mapping, Set
from typing import Any

import msgspec

from ftspec.evals.items import prompt_key, split_turn

_sorted = msgspec.json.Encoder(order="sorted").encode
Message = dict[str, Any]


def choose(rows: Iterable[Mapping[str, Any]], k: int, salt: str, *, exclude: Set[bytes]) -> tuple[list[Message], ...]:
    """Return the k rows with the smallest blake2b hashes keyed by `salt`, each as messages: prompt and answer.

    `exclude` holds the prompt keys of the suite's items: such a row is never a shot. Instructions are left out, equal
    prompts count once, and a row without an answer is passed over. Fewer than k where there are no more.
    """
    best: dict[bytes, list[Message]] = {}
    taken: dict[bytes, bytes] = {}
    worst = b""
    for row in rows:
        prompt, answer = split_turn(row)
        if answer is None:
            continue
        shot = [m for m in (*prompt, answer) if m.get("role") not in ("system", "developer")]
        rank = hashlib.blake2b(_sorted(shot), digest_size=16, key=salt.encode()[:64]).digest()
        if (len(best) >= k and rank >= worst) or rank in best:
            continue
        key = prompt_key(prompt)
        if key in exclude:
            continue
        if (other := taken.get(key)) is not None:
            if other < rank:
                continue
            del best[other]
        best[rank], taken[key] = shot, rank
        if len(best) > k:
            dropped = max(best)
            del best[dropped]
            taken = {name: value for name, value in taken.items() if value != dropped}
        worst = max(best)
    return tuple(best[rank] for rank in sorted(best))
