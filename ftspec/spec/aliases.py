"""Loss options of other fine-tuning tools, accepted inside `weights:`, turned into our names before any hash.

Sources: the documentation of axolotl, LLaMA-Factory, Together, torchtune, oumi, TRL, Unsloth, ms-swift, prime-rl,
NeMo Automodel and tinker-cookbook, read 2026-07/08.
"""

from collections.abc import Callable, Mapping
from typing import Any

_LAST = "for chains of tool calls you may want last_assistant_turn"

# value of train_on (or of a peer's strategy key) -> (preset, what differs)
STRATEGIES: dict[str, tuple[str, str]] = {
    "train_on_last": ("last_assistant_message", _LAST),
    "final_assistant_turn": ("last_assistant_message", _LAST),
    "last_round": ("last_assistant_message", "differs where two assistant messages follow each other"),
    "train_on_assistant": ("assistant", ""),
    "all_assistant_turns": ("assistant", ""),
    "default": ("assistant", ""),
    "train_on_all": ("all_messages", "torchtune masks system messages even then"),
    "all": ("all_messages", ""),
    "customized": ("from_data", "a message without a flag counts as 0"),
}
STRATEGY_KEYS = ("masking_strategy", "train_target", "loss_scale", "train_on_what")

# key: (preset where true, preset where false or None where false says nothing, what differs)
SWITCHES: dict[str, tuple[str, str | None, str]] = {
    "train_on_inputs": ("all_messages", "assistant", ""),
    "train_on_input": ("all_messages", "assistant", "torchtune masks system messages even then"),
    "train_on_prompt": ("all_messages", "assistant", ""),
    "mask_history": ("last_assistant_message", "assistant", _LAST),
    "train_on_last_turn_only": ("last_assistant_message", "assistant", _LAST),
    "assistant_only_loss": ("assistant", None, ""),
    "answer_only_loss_mask": ("assistant", None, ""),
    "train_on_completions": ("assistant", None, ""),
    "completion_only_loss": ("last_assistant_message", None, "meant for prompt/completion rows"),
}
ROLES = ("system", "developer", "user", "assistant", "tool")


def weights_aliases(weights: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return `weights` in our names, and one hint for each name that was another tool's.

    Raises ValueError for an alias beside the name it stands for, two aliases, or a value that says nothing.
    """
    plain = dict(weights)
    hints: list[str] = []
    if isinstance(plain.get("train_on"), str) and plain["train_on"] in STRATEGIES:
        value = plain.pop("train_on")
        _put(plain, f"train_on: {value}", *_strategy(value), hints)
    for key in [key for key in plain if key in _READERS]:
        value = plain.pop(key)
        made, differs = _READERS[key](key, value)
        _put(plain, f"{key}: {value}", made, differs, hints)
    return plain, hints


def _put(plain: dict[str, Any], written: str, made: dict[str, Any], differs: str, hints: list[str]) -> None:
    """Add what an alias stands for. `train_on: assistant` is the default, so it contradicts nothing."""
    for key, value in made.items():
        own = plain.get(key)
        if own is not None and own != value and not (key == "train_on" and own == "assistant") and own != []:
            raise ValueError(f"{written.split(':')[0]} stands for {key}, which is given too: keep one of them")
    plain.update(made)
    text = ", ".join(f"{key}: {_shown(value)}" for key, value in made.items())
    hints.append(f"{written} is another tool's name for {text}" + (f"; {differs}" if differs else ""))


def _shown(value: Any) -> str:
    return f"{len(value)} rules" if isinstance(value, list) else str(value)


def _strategy(value: Any) -> tuple[dict[str, Any], str]:
    preset, differs = STRATEGIES[value]
    more = {"field": "trainable"} if value == "customized" else {}
    return {"train_on": preset, **more}, differs


def _read_strategy(key: str, value: Any) -> tuple[dict[str, Any], str]:
    if not isinstance(value, str) or value not in STRATEGIES:
        if key == "train_on_what" and value in ("last_assistant_message", "last_assistant_turn", "all_messages"):
            return {"train_on": value}, ""
        if key == "train_on_what" and value == "all_assistant_messages":
            return {"train_on": "assistant"}, ""
        raise ValueError(f"{key}: {value!r} has no counterpart: choose train_on")
    return _strategy(value)


def _read_switch(key: str, value: Any) -> tuple[dict[str, Any], str]:
    yes, no, differs = SWITCHES[key]
    if value is True:
        return {"train_on": yes}, differs
    if value is False and no is not None:
        return {"train_on": no}, ""
    raise ValueError(f"{key}: {value!r} does not say what is learned: choose train_on")


def _read_roles(key: str, value: Any) -> tuple[dict[str, Any], str]:
    if not isinstance(value, list) or not value or any(role not in ROLES for role in value):
        raise ValueError(f"{key} is a list of roles: {', '.join(ROLES)}")
    differs = "options for end tokens have no counterpart"
    if set(value) == {"assistant"}:
        return {"train_on": "assistant"}, differs
    rules: list[dict[str, Any]] = [
        {"name": f"role-{role}", "match": {"role": role}, "weight": 1} for role in dict.fromkeys(value)
    ]
    rest = [role for role in ROLES if role not in value]
    if rest:
        rules.append({"name": "other-roles", "match": {"role": rest}, "weight": 0})
    return {"rules": rules}, differs


def _read_mask(key: str, value: Any) -> tuple[dict[str, Any], str]:
    known = isinstance(value, Mapping) and value
    if not known or any(role not in ROLES or not isinstance(on, bool) for role, on in value.items()):
        raise ValueError(f"{key} maps roles ({', '.join(ROLES)}) to true or false")
    rules = [{"name": f"role-{role}", "match": {"role": role}, "weight": int(on)} for role, on in value.items()]
    return {"rules": rules}, ""


_READERS: dict[str, Callable[[str, Any], tuple[dict[str, Any], str]]] = {
    **dict.fromkeys(SWITCHES, _read_switch),
    **dict.fromkeys(STRATEGY_KEYS, _read_strategy),
    "roles_to_train": _read_roles,
    "loss_mask": _read_mask,
}
ALIASES = frozenset(_READERS)  # keys that weights_aliases understands
