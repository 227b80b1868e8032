"""The experiment's schema as something to walk: known keys, what a value must be, where texts may be files."""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ftspec.spec.experiment import Experiment
from ftspec.spec.model import EnvRef, FileRef

Path = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class Shape:
    """What a value may be. Several of the parts may hold at once, since YAML keys often take a union.

    `tagged` says that pydantic names the chosen member in error locations. `words` describes the value for people.
    """

    nullable: bool = False
    anything: bool = False
    models: tuple[type[BaseModel], ...] = ()
    item: "Shape | None" = None
    value: "Shape | None" = None
    text: bool = False
    number: bool = False
    truth: bool = False
    tagged: bool = False
    discriminator: str = ""
    words: str = ""

    @property
    def file(self) -> bool:
        """Whether `{file: path}` may stand for the value."""
        return FileRef in self.models


@dataclass(frozen=True, eq=False)
class Key:
    """One key of a model: its name in YAML and in Python, its shape, and whether leaving it out is an error."""

    name: str
    attribute: str
    shape: Shape
    required: bool
    default: Any


@functools.cache
def keys_of(model: type[BaseModel]) -> Mapping[str, Key]:
    """Return the keys of a model by their name in YAML, in the order of the schema."""
    hints = get_type_hints(model, include_extras=True)
    found = {}
    for attribute, info in model.model_fields.items():
        name = info.alias or attribute
        found[name] = Key(name, attribute, shape_of(hints[attribute]), info.is_required(), info.default)
    return found


def shape_of(annotation: Any) -> Shape:
    """Compile a type annotation of `ftspec.spec` into a shape."""
    members, discriminator = _members(annotation, ())
    kinds = [member for member in members if member[0] is not type(None)]
    nullable = len(kinds) < len(members) or any(kind is Any for kind, _ in kinds)
    models = tuple(kind for kind, _ in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    item = value = None
    for kind, _ in kinds:
        origin = get_origin(kind)
        if kind is list or origin in (list, tuple):
            item = shape_of(get_args(kind)[0]) if get_args(kind) else Shape(nullable=True, anything=True)
        elif kind is dict or origin is dict:
            value = shape_of(get_args(kind)[1]) if get_args(kind) else Shape(nullable=True, anything=True)
    plain = [kind for kind, _ in kinds]
    return Shape(
        nullable=nullable,
        anything=Any in plain,
        models=models,
        item=item,
        value=value,
        text=str in plain,
        number=int in plain or float in plain,
        truth=bool in plain,
        tagged=len(kinds) > 1,
        discriminator=discriminator,
        words=_described(kinds),
    )


def _members(annotation: Any, constraints: tuple[Any, ...]) -> tuple[list[tuple[Any, tuple[Any, ...]]], str]:
    """Flatten unions and annotations into (type, constraints), and name the discriminator if there is one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extras = get_args(annotation)
        own: list[Any] = []
        discriminator = ""
        for extra in extras:
            own.extend(extra.metadata if isinstance(extra, FieldInfo) else [extra])
            if isinstance(extra, FieldInfo) and isinstance(extra.discriminator, str):
                discriminator = extra.discriminator
        members, deeper = _members(inner, (*constraints, *own))
        return members, discriminator or deeper
    if origin in (Union, UnionType):
        found: list[tuple[Any, tuple[Any, ...]]] = []
        discriminator = ""
        for member in get_args(annotation):
            members, deeper = _members(member, constraints)
            found.extend(members)
            discriminator = discriminator or deeper
        return found, discriminator
    return [(annotation, constraints)], ""


def _described(kinds: Sequence[tuple[Any, tuple[Any, ...]]]) -> str:
    words: list[str] = []
    for kind, constraints in kinds:
        word = _word(kind, constraints)
        if word not in words:
            words.append(word)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _word(kind: Any, constraints: tuple[Any, ...]) -> str:
    if get_origin(kind) is Literal:
        choices = [f"`{choice}`" if isinstance(choice, str) else str(choice) for choice in get_args(kind)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if kind is bool:
        return "true or false"
    if kind is int:
        return "a whole number" + _bounds(constraints)
    if kind is float:
        return "a number" + _bounds(constraints)
    if kind is str:
        return "a text" + _length(constraints)
    if kind is FileRef:
        return "{file: path}"
    if kind is EnvRef:
        return "{env: NAME}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        names = [info.alias or name for name, info in kind.model_fields.items() if info.is_required()]
        return "{" + ": ..., ".join(names) + ": ...}" if names else "keys and values"
    if kind is list or get_origin(kind) in (list, tuple):
        return "a list" + _length(constraints)
    if kind is dict or get_origin(kind) is dict:
        return "keys and values"
    return "any value"


def _bound(constraints: tuple[Any, ...], name: str) -> Any:
    values = [getattr(one, name) for one in constraints if getattr(one, name, None) is not None]
    return values[-1] if values else None


def _bounds(constraints: tuple[Any, ...]) -> str:
    at_least, above = _bound(constraints, "ge"), _bound(constraints, "gt")
    at_most, below = _bound(constraints, "le"), _bound(constraints, "lt")
    if at_least is not None and at_most is not None:
        return f" from {at_least} to {at_most}"
    low = f" of at least {at_least}" if at_least is not None else f" above {above}" if above is not None else ""
    high = f" of at most {at_most}" if at_most is not None else f" below {below}" if below is not None else ""
    return low + (" and" if low and high else "") + high


def _length(constraints: tuple[Any, ...]) -> str:
    pattern, at_most = _bound(constraints, "pattern"), _bound(constraints, "max_length")
    at_least = _bound(constraints, "min_length")
    said = [f"of at most {at_most}"] if at_most is not None else []
    if at_least is not None and at_least > 0 and pattern is None:
        said.append("that is not empty")
    if pattern is not None:
        said.append(f"like {getattr(pattern, 'pattern', pattern)}")
    return (" " + " ".join(said)) if said else ""


ROOT = Shape(models=(Experiment,), words="keys and values")


def chosen(shape: Shape, value: Any) -> tuple[type[BaseModel], ...]:
    """Return the models that a mapping can mean, narrowed by the discriminator."""
    if shape.discriminator and isinstance(value, dict):
        tag = value.get(shape.discriminator)
        for model in shape.models:
            literal = keys_of(model)[shape.discriminator].shape
            if f"`{tag}`" == literal.words:
                return (model,)
    return shape.models


def steps(shape: Shape, part: str | int, value: Any = None) -> list[Shape]:
    """Return what may stand below `part` of a value of this shape."""
    found = []
    for model in chosen(shape, value):
        key = keys_of(model).get(str(part))
        if key:
            found.append(key.shape)
    if shape.item and (isinstance(part, int) or part.lstrip("-").isdigit()):
        found.append(shape.item)
    if shape.value and isinstance(part, str):
        found.append(shape.value)
    if shape.anything:
        found.append(shape)
    return found


def shapes_at(path: Sequence[str | int], root: Shape = ROOT) -> list[Shape]:
    """Return what may stand at a path; empty where the schema knows no such key."""
    found = [root]
    for part in path:
        found = [below for shape in found for below in steps(shape, part)]
    return found


def is_default(path: Sequence[str | int], value: Any) -> bool:
    """Tell whether a value is what the schema fills in where a file leaves this key out."""
    if not path:
        return False
    *parent, name = path
    models = [model for shape in shapes_at(parent) for model in shape.models]
    keys = [key for model in models if (key := keys_of(model).get(str(name))) is not None]
    return bool(keys) and all(not key.required and key.default == value for key in keys)


def known_keys(path: Sequence[str | int], root: Shape = ROOT) -> list[str]:
    """Return the keys that the schema knows below a path."""
    return [name for shape in shapes_at(path, root) for model in shape.models for name in keys_of(model)]


def leaves(shape: Shape = ROOT, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key of the schema, maps and lists not entered."""
    for model in shape.models:
        for key in keys_of(model).values():
            yield (*at, key.name)
            yield from leaves(key.shape, (*at, key.name))


# What other tools call the same thing.
SYNONYMS = {
    "batch": "batch_size",
    "epochs": "n_epochs",
    "eval": "evals",
    "hyperparams": "hyperparameters",
    "lr": "learning_rate_multiplier",
    "lr_multiplier": "learning_rate_multiplier",
    "micro_batch_size": "batch_size",
    "num_epochs": "n_epochs",
    "num_train_epochs": "n_epochs",
    "test_file": "test",
    "training_file": "sources",
    "valid": "validation",
    "validation_file": "validation",
}


def meant(path: Sequence[str | int], root: Shape = ROOT, known: Sequence[str] | None = None) -> Path | None:
    """Return what the unknown last key of a path probably stands for: a like sibling, or the same key elsewhere."""
    from difflib import get_close_matches

    *parent, key = path
    name = str(key)
    siblings = list(known_keys(parent, root) if known is None else known)
    synonym = SYNONYMS.get(name)
    if synonym in siblings:
        return (*parent, synonym)
    near = get_close_matches(name, siblings, n=1, cutoff=0.6)
    if near:
        return (*parent, near[0])
    return next((leaf for leaf in leaves(root) if leaf[-1] in (name, synonym) and list(leaf[:-1]) != parent), None)


def suggestion(path: Sequence[str | int], root: Shape = ROOT, known: Sequence[str] | None = None) -> str:
    """Word a did-you-mean for the unknown last key of a path, or what is known there."""
    *above, last = path
    outer, *inner = str(last).split(".")
    if inner and shapes_at((*above, outer, *inner), root):
        return f"nest it: {outer}: {''.join(f'{{{part}: ' for part in inner)}...{'}' * len(inner)}"
    found = meant(path, root, known)
    if found is not None:
        beside = found[:-1] == tuple(path[:-1])
        return f"did you mean {found[-1] if beside else '.'.join(map(str, found))}?"
    if re.search(r"[()]", str(path[-1])):
        return "quote the whole value: a comma inside { } ends it"
    siblings = list(known_keys(path[:-1], root) if known is None else known)
    return f"known here: {', '.join(siblings)}" if siblings else ""
