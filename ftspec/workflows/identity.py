"""What a model name means for a provider: the identity that enters digests, its token counter, its step count.

The embedded engine's facts are read without numpy, so that planning stays light.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ftspec.data import RowRules, TokenCounter, counter_for
from ftspec.providers.profiles import load_profile
from ftspec.spec.experiment import Provider
from ftspec.wire.auto import MIN_EPOCHS, TARGET_EPOCHS, auto_epochs


@dataclass(frozen=True)
class Identity:
    """A base model as a provider family knows it. `engine` holds the embedded engine's facts, None for hosts."""

    family: str
    model: str
    engine: Mapping[str, Any] | None

    def schedule(self, rows: int, hyperparameters: Mapping[str, Any]) -> tuple[int, int | None]:
        """Return epochs and, where the engine decides it, steps; an estimate where a host resolves `auto` itself."""
        asked = hyperparameters.get("n_epochs", "auto")
        epochs = auto_epochs(rows) if asked == "auto" else int(asked)
        if self.engine is None:
            batch = hyperparameters.get("batch_size", "auto")
            return epochs, None if batch == "auto" else epochs * -(-rows // int(batch))
        from ftspec.engine.plan import auto_batch

        batch = hyperparameters.get("batch_size", "auto")
        size = auto_batch(rows) if batch == "auto" else int(batch)
        return epochs, epochs * -(-rows // size)

    def epochs_range(self, rows: int, hyperparameters: Mapping[str, Any]) -> tuple[int, int]:
        """Return the fewest and the most epochs to reckon with: a host that resolves `auto` itself may choose fewer.

        Hosts publish no bound; the most is the published rule, but never less than its usual three.
        """
        epochs, _ = self.schedule(rows, hyperparameters)
        if self.engine is not None or hyperparameters.get("n_epochs", "auto") != "auto":
            return epochs, epochs
        return MIN_EPOCHS, max(TARGET_EPOCHS, epochs)


@cache
def _embedded_identity(model: str) -> Identity:
    from ftspec.engine.bases import CONTRACT, resolve

    base = resolve(model)
    return Identity("embedded", base.name, {"name": "builtin", "contract": CONTRACT, "base": base.digest})


def engine_identity(provider: Provider, model: str) -> Identity:
    """Resolve a model name: an embedded alias such as `tiny` to its base and the sha256 of its weights."""
    profile = load_profile(provider.profile)
    if profile.family == "embedded":
        return _embedded_identity(model)
    return Identity(profile.family, model, None)


@cache
def _embedded_counter() -> TokenCounter:
    from ftspec.engine.counter import TinyCounter

    counter: TokenCounter = TinyCounter()
    return counter


def row_rules(provider: Provider, model: str, method: str = "supervised") -> RowRules:
    """Return what the provider takes as training rows of a model by a method: its profile's and the engine's limits."""
    profile = load_profile(provider.profile)
    pairs = method == "dpo"
    if profile.family == "embedded":
        from ftspec.engine.bases import ROW_LIMIT

        return RowRules(
            name=profile.id,
            formats=("preference",) if pairs else ("chat", "completion"),
            roles=tuple(profile.mask.roles),
            min_rows=profile.data.min_rows,
            max_row_tokens=ROW_LIMIT,
            special_tokens=(),
            images=False,
        )
    return RowRules(
        name=profile.id,
        formats=("preference",) if pairs else ("chat",),
        roles=tuple(profile.mask.roles),
        min_rows=profile.data.min_rows,
        max_row_tokens=profile.data.row_limit(model),
        max_file_bytes=round(profile.data.max_mb * 1024 * 1024),
    )


def token_counter(provider: Provider, model: str) -> TokenCounter:
    """Return the counter of the model's own tokens: the embedded tokenizer's, or the host's vocabulary."""
    if load_profile(provider.profile).family == "embedded":
        return _embedded_counter()
    return counter_for(model)
