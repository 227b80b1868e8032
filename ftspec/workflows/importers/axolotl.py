"""An axolotl configuration as an experiment. Source: docs.axolotl.ai, "Config Reference", read 2026-07."""

from collections.abc import Mapping
from typing import Any

from ftspec.spec.aliases import weights_aliases
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
    """Say what a configuration says; `data` is a local file instead of its first data set."""
    config = Reader(content)
    notes: list[str] = []
    keys: dict[str, Any] = {"provider": {"profile": "nebius"}, "model": config.take("base_model")}
    notes.append("provider nebius: axolotl's learning rate is absolute, and that host takes one; choose yours")
    weights: dict[str, Any] = {}
    dataset = _dataset(config, data, weights, notes)
    for key in _WEIGHTS:
        value = config.take(key)
        if value == "auto":
            config.lose(key, value, "say what is learned: weights.train_on")
        elif value is not None and key not in weights:
            weights[key] = value
    keys["dataset"] = dataset
    learned = weights_aliases(weights)[0]
    if learned and learned != {"train_on": "assistant"}:
        keys["weights"] = learned
    hyperparameters = _hyperparameters(config)
    if hyperparameters:
        keys["hyperparameters"] = hyperparameters
    seed = config.take("seed")
    if isinstance(seed, int):
        keys["seed"] = seed
    unequal = config.finish(_REASONS, "no equal")
    return Sketch(keys, {}, None, tuple(notes), unequal)


def _hyperparameters(config: Reader) -> dict[str, Any]:
    found: dict[str, Any] = {}
    epochs = config.take("num_epochs")
    if isinstance(epochs, (int, float)) and float(epochs).is_integer() and 1 <= epochs <= 50:
        found["n_epochs"] = int(epochs)
    else:
        config.lose("num_epochs", epochs, "whole epochs, 1 to 50")
    micro, steps = config.take("micro_batch_size"), config.take("gradient_accumulation_steps", 1)
    if isinstance(micro, int) and isinstance(steps, int) and 1 <= micro * steps <= 256:
        found["batch_size"] = micro * steps
    else:
        config.lose("micro_batch_size", micro, "batch_size is 1 to 256")
    rate = config.take("learning_rate")
    try:
        found |= {"learning_rate": float(rate)} if rate is not None else {}
    except (TypeError, ValueError):
        config.lose("learning_rate", rate, "no number")
    return found


def _dataset(config: Reader, data: str | None, weights: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"sources": []}
    given = config.take("datasets") or []
    for number, one in enumerate(given):
        entry = Reader(one if isinstance(one, Mapping) else {"path": one})
        at = f"datasets[{number}]"
        path = data if data is not None and number == 0 else entry.take("path")
        entry.rest.pop("path", None)
        made["sources"].append({"path": path})
        if not str(path).endswith(_LOCAL):
            config.lose(f"{at}.path", path, "no local file: download it to data/ and say --data FILE")
        _type(config, entry, at, made)
        for key in _WEIGHTS:
            if (value := entry.take(key)) is not None:
                weights[key] = value
        entry.take("ds_type")
        for key, value in entry.rest.items():
            config.lose(f"{at}.{key}", value, "no equal")
    if not given:
        made["sources"].append({"path": data or "data/train.jsonl"})
        notes.append("no data set was named")
    if split := _split(config):
        made["split"] = split
    return made


def _split(config: Reader) -> dict[str, Any]:
    size = config.take("val_set_size")
    held_out = config.take("test_datasets")
    if isinstance(held_out, list) and held_out and isinstance(held_out[0], Mapping):
        path = str(held_out[0].get("path"))
        if path.endswith(_LOCAL) and len(held_out) == 1:
            return {"validation": {"path": path}}
        config.lose("test_datasets", held_out, "one local file can be the validation part")
    if isinstance(size, (int, float)) and size > 0:
        return {"validation": float(size) if size < 1 else int(size)}
    return {}


def _type(config: Reader, entry: Reader, at: str, made: dict[str, Any]) -> None:
    """Say how rows become messages; ready chat rows need no template."""
    kind = entry.take("type")
    field = entry.take("field_messages", "messages")
    if kind in (None, "chat_template") or (isinstance(kind, str) and kind.startswith("chat_template")):
        if field != "messages":
            config.lose(f"{at}.field_messages", field, "rows hold `messages`: rename the field")
        return
    if kind in ("alpaca", "alpaca_chat.load_qa", "alpaca:chat"):
        made["messages"] = [
            {"role": "user", "content": "{{ instruction }}\n\n{{ input }}"},
            {"role": "assistant", "content": "{{ output }}"},
        ]
        config.lose(f"{at}.type", kind, "the preamble that axolotl puts before the instruction is left out")
        return
    if isinstance(kind, Mapping) and kind.get("field_output"):
        asked = [kind[name] for name in ("field_instruction", "field_input") if kind.get(name)]
        head = [{"role": "system", "content": kind["system_prompt"]}] if kind.get("system_prompt") else []
        user = {"role": "user", "content": "\n\n".join(f"{{{{ {name} }}}}" for name in asked)}
        made["messages"] = [*head, user, {"role": "assistant", "content": f"{{{{ {kind['field_output']} }}}}"}]
        for key in ("format", "no_input_format"):
            config.lose(f"{at}.type.{key}", kind.get(key), "fields are put one below the other")
        return
    config.lose(f"{at}.type", kind, "describe the rows in dataset.messages")
