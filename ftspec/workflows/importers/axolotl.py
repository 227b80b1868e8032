"""An axolotl configuration as an experiment. Source: docs.axolotl.ai, "Config Reference", read 2026-07."""

import math
from collections.abc import Mapping
from typing import Any

from ftspec.spec.aliases import weights_aliases
from ftspec.spec.errors import DataError
from ftspec.workflows.importers.sketch import Reader, Sketch

_HARDWARE = "how it is computed: a hosted provider decides"
_ADAPTER = "adapters and their sizes are the provider's own"
_LENGTH = "a limit of the provider; too long rows are errors"
_LOGS = "ftspec keeps metrics in the run's own folder"
_REASONS = {
    **dict.fromkeys(("adapter", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules"), _ADAPTER),
    **dict.fromkeys(("lora_target_linear", "lora_modules_to_save", "peft_use_dora", "lora_mlp_kernel"), _ADAPTER),
    **dict.fromkeys(("load_in_4bit", "load_in_8bit", "bf16", "fp16", "tf32", "flash_attention"), _HARDWARE),
    **dict.fromkeys(("gradient_checkpointing", "deepspeed", "fsdp", "fsdp_config", "xformers_attention"), _HARDWARE),
    **dict.fromkeys(
        ("optimizer", "lr_scheduler", "warmup_steps", "warmup_ratio", "weight_decay"), "not offered by hosts"
    ),
    **dict.fromkeys(("sequence_len", "sample_packing", "pad_to_sequence_len", "eval_sample_packing"), _LENGTH),
    **dict.fromkeys(("wandb_project", "wandb_entity", "wandb_name", "wandb_log_model", "wandb_watch"), _LOGS),
    **dict.fromkeys(("logging_steps", "mlflow_tracking_uri", "use_tensorboard"), _LOGS),
    **dict.fromkeys(("output_dir", "dataset_prepared_path"), "run folders are ftspec's own, found by digest"),
    **dict.fromkeys(("saves_per_epoch", "save_steps", "evals_per_epoch", "eval_steps"), "the provider decides"),
    **dict.fromkeys(("special_tokens", "chat_template", "tokenizer_type", "model_type"), "comes with the model"),
    **dict.fromkeys(
        ("rl", "dpo_beta", "dpo_use_weighting"), "only supervised trainings are written; method.type names others"
    ),
    "strict": "about loading the model",
    "hub_model_id": "ftspec publishes nothing",
}
_LOCAL = (".jsonl", ".json", ".csv", ".jsonl.gz", ".ndjson")
_WEIGHTS = ("train_on_inputs", "roles_to_train")


def is_axolotl(content: Any) -> bool:
    """Tell whether a YAML value is an axolotl configuration."""
    return isinstance(content, Mapping) and "base_model" in content and ("datasets" in content or "adapter" in content)


def sketch_axolotl(content: Mapping[str, Any], data: str | None) -> Sketch:
    """Say what a configuration says; `data` is a local file instead of its first data set.

    Raises DataError where no model is named.
    """
    config = Reader(content)
    notes: list[str] = []
    model = config.take("base_model")
    if not isinstance(model, str) or not model:
        raise DataError("axolotl", "base_model must be a text", fix="name the model that is trained")
    keys: dict[str, Any] = {"provider": {"profile": "nebius"}, "model": model}
    notes.append("provider nebius: axolotl's learning rate is absolute, and that host takes one; choose yours")
    weights: dict[str, Any] = {}
    dataset = _dataset(config, data, weights, notes)
    own = dict(weights)
    for key in _WEIGHTS:
        value = config.take(key)
        if value == "auto":
            config.lose(key, value, "say what is learned: weights.train_on")
        elif own and value != own.get(key):
            config.lose(key, value, "a data set says what is learned of it")
        elif value is not None:
            weights[key] = value
    keys["dataset"] = dataset
    try:
        learned = weights_aliases(weights)[0]
    except ValueError as error:
        for key, value in weights.items():
            config.lose(key, value, f"{error}")
        learned = {}
    if learned and learned != {"train_on": "assistant"}:
        keys["weights"] = learned
    hyperparameters = _hyperparameters(config)
    if hyperparameters:
        keys["hyperparameters"] = hyperparameters
    seed = config.take("seed")
    if type(seed) is int and 0 <= seed < 2**31:
        keys["seed"] = seed
    else:
        config.lose("seed", seed, "no whole number from 0 on")
    unequal = config.finish(_REASONS, "no equal")
    return Sketch(keys, {}, None, tuple(notes), unequal)


def _hyperparameters(config: Reader) -> dict[str, Any]:
    found: dict[str, Any] = {}
    epochs = config.take("num_epochs")
    if type(epochs) in (int, float) and 1 <= epochs <= 50 and float(epochs).is_integer():
        found["n_epochs"] = int(epochs)
    else:
        config.lose("num_epochs", epochs, "whole epochs, 1 to 50")
    micro, steps = config.take("micro_batch_size"), config.take("gradient_accumulation_steps")
    each = 1 if steps is None else steps
    if type(micro) is int and type(each) is int and 1 <= micro * each <= 256:
        found["batch_size"] = micro * each
    else:
        config.lose("micro_batch_size", micro, "times the steps, batch_size is 1 to 256")
        config.lose("gradient_accumulation_steps", steps, "times micro_batch_size, batch_size is 1 to 256")
    rate = config.take("learning_rate")
    try:
        number = float(rate) if rate is not None and not isinstance(rate, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if 0 < number < math.inf:
        found["learning_rate"] = number
    else:
        config.lose("learning_rate", rate, "no number above 0")
    return found


def _dataset(config: Reader, data: str | None, weights: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"sources": []}
    first: list[dict[str, Any]] | None = None
    given = config.take("datasets") or []
    if not isinstance(given, list):
        config.lose("datasets", given, "no list")
        given = []
    for number, one in enumerate(given):
        entry = Reader(one if isinstance(one, Mapping) else {"path": one})
        at = f"datasets[{number}]"
        named = entry.take("path")
        path = data if data is not None and number == 0 else str(named)
        made["sources"].append({"path": path})
        if not path.endswith(_LOCAL):
            config.lose(f"{at}.path", path, "no local file: download it to data/ and say --data FILE")
        elif path != named:
            config.lose(f"{at}.path", named, f"{path} stands for it")
        kind = entry.rest.get("type")
        template = _template(config, entry, at)
        if number == 0:
            first = template
        elif template != first:
            config.lose(f"{at}.type", kind, "one template makes the rows of all sources; this one needs another")
        for key in _WEIGHTS:
            value = entry.take(key)
            if value is not None and weights.setdefault(key, value) != value:
                config.lose(f"{at}.{key}", value, "one policy holds for all sources; this one says another")
        for key, value in entry.rest.items():
            config.lose(f"{at}.{key}", value, "no equal")
    if not given:
        made["sources"].append({"path": data or "data/train.jsonl"})
        notes.append("no data set was named")
    if first is not None:
        made["messages"] = first
    if split := _split(config):
        made["split"] = split
    return made


def _split(config: Reader) -> dict[str, Any]:
    size = config.take("val_set_size")
    held_out = config.take("test_datasets")
    one = held_out[0] if isinstance(held_out, list) and len(held_out) == 1 else None
    if isinstance(one, Mapping) and str(one.get("path")).endswith(_LOCAL):
        for key, value in one.items():
            if key != "path":
                config.lose(f"test_datasets[0].{key}", value, "rows of all parts have one form")
        config.lose("val_set_size", size, "test_datasets says which rows are held out")
        return {"validation": {"path": str(one["path"])}}
    config.lose("test_datasets", held_out, "one local file can be the validation part")
    if type(size) in (int, float) and 0 < size < math.inf and (size < 1 or float(size).is_integer()):
        return {"validation": float(size) if size < 1 else int(size)}
    if size != 0:
        config.lose("val_set_size", size, "a share below 1, or whole rows")
    return {}


def _template(config: Reader, entry: Reader, at: str) -> list[dict[str, Any]] | None:
    """Say how rows become messages; ready chat rows need no template."""
    kind = entry.take("type")
    field = entry.take("field_messages", "messages")
    mapped = entry.take("message_property_mappings")
    if mapped != {"role": "role", "content": "content"}:
        config.lose(f"{at}.message_property_mappings", mapped, "messages have role and content: rename the keys")
    if kind in (None, "chat_template") or (isinstance(kind, str) and kind.startswith("chat_template")):
        if field != "messages":
            config.lose(f"{at}.field_messages", field, "rows hold `messages`: rename the field")
        return None
    if field != "messages":
        config.lose(f"{at}.field_messages", field, "only chat rows have such a field")
    if kind in ("alpaca", "alpaca_chat.load_qa", "alpaca:chat"):
        config.lose(f"{at}.type", kind, "the preamble that axolotl puts before the instruction is left out")
        return [
            {"role": "user", "content": "{{ instruction }}\n\n{{ input }}"},
            {"role": "assistant", "content": "{{ output }}"},
        ]
    if isinstance(kind, Mapping) and kind.get("field_output"):
        asked = [kind[name] for name in ("field_instruction", "field_input") if kind.get(name)]
        head = [{"role": "system", "content": str(kind["system_prompt"])}] if kind.get("system_prompt") else []
        user = {"role": "user", "content": "\n\n".join(f"{{{{ {name} }}}}" for name in asked)}
        for key, value in kind.items():
            if key not in ("field_instruction", "field_input", "field_output", "system_prompt"):
                config.lose(f"{at}.type.{key}", value, "fields are put one below the other")
        return [*head, user, {"role": "assistant", "content": f"{{{{ {kind['field_output']} }}}}"}]
    config.lose(f"{at}.type", kind, "describe the rows in dataset.messages")
    return None
