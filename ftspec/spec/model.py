"""The strict base of every model that a user writes, and the small value types they share."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Unknown keys are errors, nothing is coerced, instances are frozen."""

    # Validators are built at first use: only those of whole blocks are ever needed, and each costs start-up time.
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, protected_namespaces=(), populate_by_name=True, defer_build=True
    )


class FileRef(Strict):
    """`{file: relative/path}`: the text of a file, relative to the project root, read at validation."""

    file: Annotated[str, Field(min_length=1)]


class EnvRef(Strict):
    """`{env: NAME}`: a value that only the environment holds. Allowed in the provider block alone; never stored."""

    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


Text = str | FileRef
Auto = Literal["auto"]
Json = Any
