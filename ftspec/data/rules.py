"""What a provider takes as training rows: facts of its profile, passed in by the workflow."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RowRules:
    """Limits and abilities of one provider for one model; None means no limit.

    `formats` are the row formats it trains on ("chat", "completion", "preference"), `roles` those whose messages it can
    learn from. `special_tokens` are strings of the target vocabulary that must not occur in texts.
    """

    name: str = "openai"
    formats: tuple[str, ...] = ("chat",)
    roles: tuple[str, ...] = ("assistant",)
    min_rows: int = 10
    advised_rows: int = 50
    max_row_tokens: int | None = 65_536
    max_file_bytes: int | None = 512 * 1024 * 1024
    special_tokens: tuple[str, ...] = ("<|endoftext|>", "<|endofprompt|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>")
    tools: bool = True
    images: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain JSON, for cache ids."""
        return asdict(self)
