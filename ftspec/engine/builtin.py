"""The engine `builtin`: the numpy model behind the protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.engine.bases import Base, resolve
from ftspec.engine.checkpoint import load, load_base, save
from ftspec.engine.fingerprint import ENGINE, fingerprint
from ftspec.engine.generate import generate
from ftspec.engine.model import Array, Parameters, loss_and_gradient
from ftspec.engine.optimizer import AdamW
from ftspec.engine.protocol import Completion, ModelRef, Sampling
from ftspec.engine.template import Encoded, render
from ftspec.spec.errors import DataError


@dataclass
class State:
    """Weights with what training them needs, made at the first gradient."""

    base: Base
    parameters: Parameters
    gradient: Parameters | None = None
    optimizer: AdamW | None = None


class Builtin:
    """Everything in this process, one sequence at a time when generating."""

    name = ENGINE

    def base_lr(self, state: State) -> float:
        """The published rate of the state's base."""
        return state.base.base_lr

    def fingerprint(self, ref: ModelRef) -> dict[str, Any]:
        """Numerics, and the digests of the start weights and the tokenizer."""
        base, _ = self._base(ref)
        return fingerprint(base=ref.digest or base.digest, tokenizer=base.tokenizer.identity)

    def load(self, ref: ModelRef) -> State:
        """Read the weights. Raises DataError."""
        base, parameters = self._base(ref)
        return State(base, load_base(base) if parameters is None else parameters)

    def _base(self, ref: ModelRef) -> tuple[Base, Parameters | None]:
        if ref.weights is not None:
            return load(ref.weights, ref.digest)
        if ref.base is None:
            raise DataError("unknown_model", "neither a base nor weights are named")
        base = resolve(ref.base)
        if ref.digest is not None and ref.digest != base.digest:
            message = f"the base {base.name} has the digest {base.digest[:12]} here, not {ref.digest[:12]}"
            raise DataError("digest_mismatch", message)
        return base, None

    def encode(
        self,
        state: State,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        generation_prompt: bool = False,
    ) -> Encoded:
        """Render with the base's tokenizer."""
        return render(state.base.tokenizer, messages, tools, generation_prompt=generation_prompt)

    def loss_grad(self, state: State, ids: Array, weights: Array) -> tuple[float, float, float]:
        """Loss, token accuracy, weight sum; raises ValueError for a batch without any weight."""
        if state.gradient is None:
            state.gradient = Parameters(state.parameters.config)
        return loss_and_gradient(state.parameters, ids, weights, state.gradient)

    def evaluate(self, state: State, ids: Array, weights: Array) -> tuple[float, float, float]:
        """The same without a gradient."""
        return loss_and_gradient(state.parameters, ids, weights)

    def apply(self, state: State, rate: float) -> float:
        """One step of AdamW by the gradient of the last `loss_grad`."""
        if state.gradient is None:
            raise ValueError("apply needs a gradient")
        if state.optimizer is None:
            state.optimizer = AdamW(state.parameters)
        return state.optimizer.step(state.parameters, state.gradient, rate)

    def save(self, state: State, folder: Path) -> str:
        """Write `weights.npz` in float32."""
        return save(state.parameters, folder / "weights.npz", base=state.base.name)

    def generate(self, state: State, ids: Sequence[int], sampling: Sampling) -> list[Completion]:
        """Answers to a rendered prompt."""
        return generate(state.parameters, state.base.tokenizer, ids, sampling)
