"""`ftspec data`: look at the rows of an experiment, what is learned of them, and what stands on both sides."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ftspec.cli.arguments import echo_json, experiment_argument, json_option, parse_target
from ftspec.cli.completing import complete_labels
from ftspec.cli.terminal import out_colour

if TYPE_CHECKING:
    from ftspec.workflows.dataset import Data

run_option = click.option(
    "--run",
    "label",
    metavar="RUN",
    shell_complete=complete_labels,
    help="The run of a sweep whose data is meant, by any of its names; the first.",
)


def _complete_dialects(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ftspec.data.dialects import DIALECTS

    return [CompletionItem(name) for name in DIALECTS if name.startswith(incomplete)]


@click.group(help="Look at the data of an experiment: conversations, sums, overlap; export it, collect failing items.")
def command() -> None:
    """Root of the verbs for data."""


def _open(words: tuple[str, ...], label: str | None) -> "Data":
    from ftspec.workflows.dataset import open_data

    target = parse_target(words)
    return open_data(target.project, target.name, target.overrides, label)


@command.command("show", help="Print conversations with what is learned, and the proof table of the weights.")
@experiment_argument
@run_option
@click.option("--part", type=click.Choice(["train", "valid", "test"]), default="train", show_default=True)
@click.option("-n", "most", type=click.IntRange(1), default=5, show_default=True, help="How many rows.")
@click.option("--row", type=click.IntRange(0), help="One row, by its number in the part.")
@click.option("--rule", metavar="NAME", help="Rows in which this weight rule decides; `data` for weights in the data.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page that needs nothing else.")
@json_option
def show(
    words: tuple[str, ...],
    label: str | None,
    part: str,
    most: int,
    row: int | None,
    rule: str | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Print rows."""
    from ftspec.report.data import conversation_lines
    from ftspec.report.proof import proof_lines
    from ftspec.workflows.dataset import SCHEMA, conversations, proof_json

    data = _open(words, label)
    shown = list(conversations(data, part, most=most, row=row, rule=rule))
    if html is not None:
        _write_page(html, data, shown)
    if as_json:
        facts = {"schema": SCHEMA, "experiment": data.name, "run": data.point.label, "part": part}
        echo_json(facts | {"rows": [one.to_json() for one in shown], "proof": proof_json(data.proof)})
        return
    if html is not None:
        click.echo(f"wrote {html}")
        return
    for line in (*conversation_lines(shown, colour=out_colour()), *proof_lines(data.proof, colour=out_colour())):
        click.echo(line)


def _write_page(path: Path, data: "Data", shown: list[Any]) -> None:
    from ftspec.report.html.conversations import conversations_page
    from ftspec.storage import write_atomic

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, conversations_page(data, shown))


@command.command("stats", help="Rows, tokens and learned tokens per part, how long rows are, how answers are spread.")
@experiment_argument
@run_option
@json_option
def stats(words: tuple[str, ...], label: str | None, as_json: bool) -> None:
    """Print sums."""
    from ftspec.report.data import stats_lines
    from ftspec.workflows.dataset import SCHEMA
    from ftspec.workflows.dataset import stats as stats_of

    data = _open(words, label)
    found = stats_of(data)
    if as_json:
        facts = {"schema": SCHEMA, "experiment": data.name, "run": data.point.label}
        counter = {"counter": data.prepared.counter, "exact": data.prepared.exact}
        echo_json(facts | counter | {"parts": [one.to_json() for one in found]})
        return
    for line in stats_lines(found, colour=out_colour()):
        click.echo(line)
    exact = "exact" if data.prepared.exact else "an estimate"
    click.echo(f"tokens by {data.prepared.counter}, {exact}")


@command.command("overlap", help="What stands on both sides: train, validation, test and the items of every suite.")
@experiment_argument
@run_option
@json_option
def overlap(words: tuple[str, ...], label: str | None, as_json: bool) -> None:
    """Print overlaps."""
    from ftspec.report.data import overlap_lines
    from ftspec.workflows.dataset import SCHEMA, data_overlaps

    data = _open(words, label)
    found = data_overlaps(data)
    if as_json:
        facts = {"schema": SCHEMA, "experiment": data.name, "run": data.point.label}
        echo_json(facts | {"overlaps": [one.to_json() for one in found]})
        return
    for line in overlap_lines(found, colour=out_colour()):
        click.echo(line)


@command.command("export", help="Write train and validation in another tool's dialect; each row is read back.")
@experiment_argument
@run_option
@click.option("--dialect", required=True, shell_complete=_complete_dialects, help="Whose words; see docs/weights.md.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write; data/NAME.DIALECT.")
@json_option
def export(words: tuple[str, ...], label: str | None, dialect: str, out: Path | None, as_json: bool) -> None:
    """Write files."""
    from ftspec.report.data import export_lines
    from ftspec.workflows.export import export as export_to

    data = _open(words, label)
    done = export_to(data, dialect, out or data.project.root / "data" / f"{data.name}.{dialect}")
    if as_json:
        echo_json(done.to_json())
        return
    for line in export_lines(done):
        click.echo(line)


@command.command(
    "harvest", help="Write the eval items that a finished run got wrong as candidate rows, marked as such."
)
@experiment_argument
@click.option(
    "--run",
    "label",
    metavar="RUN",
    shell_complete=complete_labels,
    help="Whose failures, by any of its names; needed where the experiment is a sweep.",
)
@click.option("--suite", metavar="NAME", help="Of this suite only.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; data/NAME.candidates.jsonl."
)
@json_option
def harvest(words: tuple[str, ...], label: str | None, suite: str | None, out: Path | None, as_json: bool) -> None:
    """Write candidates."""
    from ftspec.report.data import harvest_lines
    from ftspec.workflows.harvest import SCHEMA
    from ftspec.workflows.harvest import harvest as harvest_of

    target = parse_target(words)
    found = harvest_of(target.project, target.name, target.overrides, label=label, suite=suite)
    path = out or target.project.root / "data" / f"{target.name}.candidates.jsonl"
    if found.candidates:
        found.write(path)
    if as_json:
        facts = {"schema": SCHEMA, "experiment": found.experiment, "run": found.run, "items": found.items}
        written = {"file": str(path) if found.candidates else None, "held_out": True}
        echo_json(facts | written | {"candidates": [candidate.row() for candidate in found.candidates]})
        return
    root = target.project.root
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    for line in harvest_lines(found, shown):
        click.echo(line)
