"""Answers token by token, one sequence at a time: batching would change the last bits and could flip a near tie."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ftspec.engine.model import Array, Cache, Parameters, forward
from ftspec.engine.protocol import Completion, Sampling
from ftspec.engine.streams import Stream
from ftspec.engine.template import Answer, parse
from ftspec.engine.tokenizer import CALL, END, SPECIAL, Tokenizer
from ftspec.spec.errors import DataError

LAST = np.zeros(1, np.int64)


class Prompt:
    """A prompt that was read once: its cache is wound back for each choice, its logits are shared."""

    def __init__(self, parameters: Parameters, ids: Sequence[int], *, calls: bool) -> None:
        self.parameters = parameters
        self.cache = Cache(parameters.config)
        self.forbidden = np.array([i for i in range(len(SPECIAL)) if i != END and not (calls and i == CALL)])
        self.length = len(ids)
        self.first = self._logits(ids)
        self.last_key = list(self.cache.last_key)

    def _logits(self, ids: Sequence[int]) -> Array:
        tokens = np.array([ids], np.int64)
        hidden, _ = forward(self.parameters, tokens, LAST + (len(ids) - 1), self.cache)
        logits: Array = hidden[0] @ self.parameters["e"].T
        logits[self.forbidden] = -np.inf
        return logits

    def rewind(self) -> None:
        """Forget everything behind the prompt; keys and values there are written over."""
        self.cache.length = self.length
        self.cache.last_key = list(self.last_key)

    def follow(self, token: int) -> Array:
        """Logits (V) after one more token."""
        return self._logits([token])


def generate(parameters: Parameters, tokenizer: Tokenizer, ids: Sequence[int], sampling: Sampling) -> list[Completion]:
    """`sampling.n` answers to a prompt that ends with <asst>.

    Raises DataError (`context_length_exceeded`) where prompt and answer do not fit.
    """
    context = parameters.config.context
    room = context - len(ids)
    if room < 1 or (sampling.limit is not None and sampling.limit > room):
        asked = "" if sampling.limit is None else f" and {sampling.limit} for the answer"
        message = f"the model reads at most {context} tokens, but the messages have {len(ids)}{asked}"
        raise DataError("context_length_exceeded", message, path="messages")
    prompt = Prompt(parameters, ids, calls=sampling.calls)
    limit = room if sampling.limit is None else sampling.limit
    return [_choice(prompt, tokenizer, sampling, limit, index) for index in range(sampling.n)]


def _choice(prompt: Prompt, tokenizer: Tokenizer, sampling: Sampling, limit: int, index: int) -> Completion:
    prompt.rewind()
    stream = Stream("sample", sampling.seed, index)
    stops = [stop.encode() for stop in sampling.stop]
    chosen: list[int] = []
    entries: list[dict[str, Any]] | None = None if sampling.top_logprobs is None else []
    text, in_call, reason = b"", False, "length"
    for token, logits in _tokens(prompt, sampling, stream, limit):
        if token == END:
            reason = "stop"
            break
        chosen.append(token)
        in_call = in_call or token == CALL
        if in_call:
            continue
        text += tokenizer.bytes_of[token]
        if entries is not None:
            entries.append(_logprob(tokenizer, logits, token, sampling.top_logprobs or 0))
        if _find(text, stops) is not None:
            reason = "stop"
            break
    answer = _cut(parse(tokenizer, chosen), sampling.stop)
    if answer.tool_calls and reason == "stop":
        reason = "tool_calls"
    return Completion(answer.text, answer.tool_calls, reason, len(chosen), entries)


def _tokens(prompt: Prompt, sampling: Sampling, stream: Stream, limit: int) -> Iterator[tuple[int, Array]]:
    """Up to `limit` tokens, each with the logits that it was chosen from."""
    logits = prompt.first
    for left in range(limit, 0, -1):
        token = choose(logits, sampling.temperature, sampling.top_p, stream)
        yield token, logits
        if left > 1:
            logits = prompt.follow(token)


def choose(logits: Array, temperature: float, top_p: float, stream: Stream) -> int:
    """The best token at temperature 0 (ties: lowest id), else a sample from the nucleus of mass `top_p`, in float64."""
    if temperature == 0:
        return int(logits.argmax())
    p = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
    order = np.argsort(-p, kind="stable")
    mass = np.cumsum(p[order])
    kept = min(int(np.searchsorted(mass, top_p * mass[-1], side="left")) + 1, len(mass)) if top_p < 1 else len(mass)
    at = int(np.searchsorted(mass[:kept], stream.uniform() * mass[kept - 1], side="right"))
    return int(order[min(at, kept - 1)])


def _logprob(tokenizer: Tokenizer, logits: Array, token: int, top: int) -> dict[str, Any]:
    """One entry of `logprobs.content`: natural logarithms at temperature 1, forbidden ids left out."""
    z = logits.astype(np.float64) - logits.max()
    z -= np.log(np.exp(z).sum())

    def entry(i: int) -> dict[str, Any]:
        raw = tokenizer.bytes_of[i]
        name = SPECIAL[i] if i < len(SPECIAL) else raw.decode("utf-8", "replace")
        return {"token": name, "logprob": float(z[i]), "bytes": list(raw)}

    best = np.argsort(-z, kind="stable")[:top]
    return entry(token) | {"top_logprobs": [entry(int(i)) for i in best if np.isfinite(z[i])]}


def _find(text: bytes, stops: Sequence[bytes]) -> int | None:
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return min(found) if found else None


def _cut(answer: Answer, stops: Sequence[str]) -> Answer:
    """The answer without its first stop sequence and what follows it."""
    if not stops or not answer.text:
        return answer
    found = [at for stop in stops if (at := answer.text.find(stop)) >= 0]
    return answer._replace(text=answer.text[: min(found)]) if found else answer
