"""`python -m ftspec.engine.generator`: one long-lived process that answers chat requests, JSON lines in and out.

Request: {"id", "model": {"base": name} | {"weights": path, "digest"}, "messages", "tools", "limit", "temperature",
"top_p", "seed", "stop", "n", "logprobs", "top_logprobs"}. Answer: {"id", "choices", "prompt_tokens",
"completion_tokens", "system_fingerprint"} or {"id", "error": {"code", "message", "param"}}. Ends with its stdin.
"""

import json
import secrets
import sys
import traceback
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspec.engine.environment import require_numpy
from ftspec.engine.protocol import Completion, ModelRef, Sampling
from ftspec.spec.errors import DataError, FtspecError

if TYPE_CHECKING:
    from ftspec.engine.builtin import State

MODULE = "ftspec.engine.generator"
LOADED = 16


class Generator:
    """Loaded models, the last used ones kept, and one answer at a time."""

    def __init__(self) -> None:
        from ftspec.engine.builtin import Builtin
        from ftspec.engine.fingerprint import fingerprint_id, numerics

        self.engine = Builtin()
        self.loaded: OrderedDict[ModelRef, State] = OrderedDict()
        self.system_fingerprint = fingerprint_id(numerics())

    def state(self, model: dict[str, Any]) -> "State":
        """The model of a request. Raises DataError."""
        weights = model.get("weights")
        ref = ModelRef(model.get("base"), None if weights is None else Path(weights), model.get("digest"))
        if ref not in self.loaded:
            self.loaded[ref] = self.engine.load(ref)
            if len(self.loaded) > LOADED:
                self.loaded.popitem(last=False)
        self.loaded.move_to_end(ref)
        return self.loaded[ref]

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises DataError."""
        state = self.state(request["model"])
        tools = request.get("tools")
        prompt = self.engine.encode(state, request["messages"], tools, generation_prompt=True)
        completions = self.engine.generate(state, prompt.ids, sampling(request))
        return {
            "choices": [choice(completion) for completion in completions],
            "prompt_tokens": len(prompt.ids),
            "completion_tokens": sum(completion.tokens for completion in completions),
            "system_fingerprint": self.system_fingerprint,
        }

    def handle(self, line: bytes) -> dict[str, Any]:
        """Answer one line, whatever it holds."""
        identity = None
        try:
            request = json.loads(line)
            identity = request.get("id")
            return {"id": identity, **self.answer(request)}
        except FtspecError as error:
            problem = error.problems[0]
            return {"id": identity, "error": _error(problem.code, problem.message, problem.path or None)}
        except Exception as error:
            traceback.print_exc()
            return {"id": identity, "error": _error("internal_error", f"{type(error).__name__}: {error}", None)}


def _error(code: str, message: str, param: str | None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": param}


def sampling(request: dict[str, Any]) -> Sampling:
    """The settings of a request; without a seed each request samples anew, as the API does."""
    seed = request.get("seed")
    logprobs = bool(request.get("logprobs"))

    def value(key: str, default: float) -> float:
        given = request.get(key)
        return default if given is None else float(given)

    n = request.get("n") or 1
    if n < 1:
        raise DataError("invalid_value", "n must be at least 1", path="n")
    return Sampling(
        limit=request.get("limit"),
        temperature=value("temperature", 1.0),
        top_p=value("top_p", 1.0),
        seed=secrets.randbits(63) if seed is None else seed,
        stop=tuple(request.get("stop") or ()),
        n=n,
        top_logprobs=(request.get("top_logprobs") or 0) if logprobs else None,
        calls=bool(request.get("tools")),
    )


def choice(completion: Completion) -> dict[str, Any]:
    """One choice of an answer."""
    logprobs = None if completion.logprobs is None else {"content": completion.logprobs, "refusal": None}
    return {
        "text": completion.text,
        "tool_calls": completion.tool_calls,
        "finish_reason": completion.finish_reason,
        "logprobs": logprobs,
    }


def main() -> int:
    """Answer until stdin ends."""
    generator = Generator()
    for line in sys.stdin.buffer:
        if line.strip():
            answer = json.dumps(generator.handle(line), ensure_ascii=False, allow_nan=False)
            sys.stdout.buffer.write(answer.encode("utf-8", "replace") + b"\n")
            sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    require_numpy(MODULE)
    sys.exit(main())
