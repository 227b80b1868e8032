"""The published rule behind `n_epochs: auto`."""

MIN_EPOCHS, TARGET_EPOCHS, MAX_EPOCHS = 1, 3, 25
MIN_EXAMPLES, MAX_EXAMPLES = 100, 25_000


def auto_epochs(n_rows: int) -> int:
    """Return the number of epochs that `auto` stands for with `n_rows` training examples (at least 1).

    Raises ValueError for no rows. Source: OpenAI cookbook, Chat_finetuning_data_prep (agrees with two real jobs).
    """
    if n_rows < 1:
        raise ValueError(f"auto epochs need at least one row, got {n_rows}")
    if n_rows * TARGET_EPOCHS < MIN_EXAMPLES:
        return min(MAX_EPOCHS, MIN_EXAMPLES // n_rows)
    if n_rows * TARGET_EPOCHS > MAX_EXAMPLES:
        return max(MIN_EPOCHS, MAX_EXAMPLES // n_rows)
    return TARGET_EPOCHS
