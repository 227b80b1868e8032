"""What the schema cannot say of one key: contradictions, what must be given, advice."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ftspec.compose.given import Given
from ftspec.compose.overrides import under
from ftspec.compose.points import Column
from ftspec.compose.session import Session
from ftspec.compose.shape import shapes_at
from ftspec.compose.sites import merged_files
from ftspec.compose.wording import dotted
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import Experiment

Path = tuple[str | int, ...]
MULTIPLIER = "hyperparameters.learning_rate_multiplier"


def contradictions(experiment: Experiment) -> Iterator[tuple[Path, Problem]]:
    """Yield values that exclude each other."""
    rates = experiment.hyperparameters
    if rates.learning_rate is not None and rates.learning_rate_multiplier is not None:
        yield (
            ("hyperparameters", "learning_rate"),
            Problem(
                "two_rates",
                "learning_rate and learning_rate_multiplier are both set",
                "hyperparameters.learning_rate",
                fix="keep one and set the other to null",
            ),
        )


def demanded(
    session: Session, given: Sequence[Given], swept: Iterable[str], groups: tuple[str, ...]
) -> Iterator[tuple[Path, Problem]]:
    """Yield keys that say "must be given" (`???`) and that neither a later file, an axis nor an override gives.

    Hydra would keep what an earlier file says (the base names every key, most with null) and ask for nothing.
    """
    if not any("???" in file.text for file in session.snapshot.loaded.values()):
        return
    asked: set[Path] = set()
    for loaded, package in merged_files(session, groups):
        for path, _, value in loaded.document.entries() if loaded.document is not None else ():
            at = (*package, *path)
            asked.discard(at)
            if value.kind == "text" and value.value == "???":
                asked.add(at)
    for at in sorted(asked, key=str):
        key = ".".join(map(str, at))
        shapes = shapes_at(at)
        if shapes and not any(under(key, one) for one in (*swept, *(one.key for one in given))):
            yield at, Problem("missing_value", f"must be given: {shapes[0].words}", key)


def advice(
    experiment: Experiment, columns: Mapping[str, Column], paths: Mapping[Path, str]
) -> Iterator[tuple[Path, Problem]]:
    """Yield what practice advises against; `lint` may raise or silence it. `paths` are texts that name files."""
    for at, name in paths.items():
        message = f"the text is the path of a file, {name}; the file itself is not read"
        yield at, Problem("text_is_path", message, dotted(at), fix=f"write {{file: {name}}}")
    column = columns.get(MULTIPLIER)
    # The reason is about what hosts hide; the embedded engine's rule for `auto` is open.
    hosted = experiment.provider.profile != "embedded"
    if hosted and column is not None and "auto" not in column.values.make():
        yield (
            column.at,
            Problem(
                "sweep_without_auto",
                "sweeps the multiplier without `auto`: real jobs resolved it 10 to 100 times above 0.02 to 0.2",
                MULTIPLIER,
                fix="add auto as a value",
            ),
        )
