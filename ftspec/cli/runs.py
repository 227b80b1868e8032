"""`ftspec runs`: move runs, as one file or through the store that a team shares."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftspec.cli.arguments import current_project, echo_json, json_option
from ftspec.cli.completing import complete_experiments, complete_runs
from ftspec.cli.terminal import err_colour, out_colour

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftspec.runs.admission import Admitted
    from ftspec.spec.errors import Problem

_SIZE = click.IntRange(min=1)


@click.group(help="Move runs: one file, or the store that the team shares; and free what no run needs.")
def command() -> None:
    """Root of the verbs about whole run directories."""


@command.command(help="Write what is sealed into one tar file: all runs, or RUN (as in `show`, or an experiment).")
@click.argument("names", nargs=-1, metavar="[RUN]...", shell_complete=complete_runs)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file; default runs.tar.")
@json_option
def pack(names: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Pack and say what went in."""
    from ftspec.workflows.moving import pack as pack_runs

    done = pack_runs(current_project().runs, names, output or Path("runs.tar"))
    if as_json:
        echo_json(done.to_json())
        return
    _warn(done.left)
    if done.missing:
        click.echo(f"{len(done.missing)} blobs that the runs name are not here: see `ftspec verify`", err=True)
    click.echo(f"packed  {len(done.folders)} sealed folders into {done.path}, {done.bytes:,} bytes")
    click.echo(f"next    ftspec runs unpack {done.path}")


@command.command(help="Let the runs of a packed FILE in, verified; nothing here is overwritten.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--max-bytes", type=_SIZE, help="Refuse a file that unpacks to more; default 64 GiB.")
@json_option
def unpack(file: Path, max_bytes: int | None, as_json: bool) -> None:
    """Unpack and say what came in."""
    from ftspec.runs.archive import MAX_BYTES, Limits
    from ftspec.workflows.moving import unpack as unpack_runs

    limit = max_bytes or MAX_BYTES
    done = unpack_runs(file, current_project().runs, Limits(bytes=limit, file_bytes=limit))
    if as_json:
        echo_json(done.to_json())
        return
    _tell(done.admitted)


@command.command(help="Push what is sealed and the store lacks: everything, or RUN (as in `show`, or an experiment).")
@click.argument("names", nargs=-1, metavar="[RUN]...", shell_complete=complete_runs)
@click.option("--to", "address", metavar="STORE", help="A folder or a URL; default the experiment's `store:`.")
@json_option
def push(names: tuple[str, ...], address: str | None, as_json: bool) -> int:
    """Push and say what was sent."""
    from ftspec.spec.errors import Exit
    from ftspec.workflows.sharing import push_runs

    done = push_runs(current_project(), names, address, _silent if as_json else click.echo)
    if as_json:
        echo_json(done.to_json())
    else:
        _warn(done.left)
        click.echo(f"{len(done.sent)} sent ({done.bytes:,} bytes), {len(done.held)} there already")
    return Exit.PARKED if done.left else Exit.OK


@command.command(help="Pull runs that are not here, verified: of every experiment, or of EXPERIMENT.")
@click.argument("experiments", nargs=-1, metavar="[EXPERIMENT]...", shell_complete=complete_experiments)
@click.option("--from", "address", metavar="STORE", help="A folder or a URL; default the experiment's `store:`.")
@json_option
def pull(experiments: tuple[str, ...], address: str | None, as_json: bool) -> int:
    """Pull and say what came in."""
    from ftspec.spec.errors import Exit
    from ftspec.workflows.sharing import pull_runs

    done = pull_runs(current_project(), experiments, address, _silent if as_json else _line)
    if as_json:
        echo_json(done.to_json())
    else:
        _warn(done.refused)
        _count(done.admitted)
    return Exit.STALE if done.refused else Exit.OK


@command.command(help="Say what no run needs any more: blobs that nothing names, leftovers of killed processes.")
@click.option("--caches", is_flag=True, help="Also runs/.cache; it is made again when needed.")
@click.option("--embedded", is_flag=True, help="Also jobs of the embedded server whose weights a run has sealed.")
@click.option("--yes", is_flag=True, help="Remove it.")
@json_option
def gc(caches: bool, embedded: bool, yes: bool, as_json: bool) -> None:
    """List, or remove, garbage."""
    from collections import Counter

    from ftspec.report.style import size
    from ftspec.runs.garbage import find_garbage, remove

    project = current_project()
    committed = [path for kind in ("lock", "results") for path in project.experiments.glob(f"*.{kind}.json")]
    found = find_garbage(project.runs, committed, caches=caches, embedded=embedded)
    freed = remove(project.runs, found) if yes and found else 0
    if as_json:
        shown = [{"path": str(one.path), "kind": one.kind, "bytes": one.bytes} for one in found]
        echo_json({"schema": 1, "removed": yes, "freed": freed, "garbage": shown})
        return
    counts = Counter(one.kind for one in found)
    for kind, count in counts.items():
        total = sum(one.bytes for one in found if one.kind == kind)
        click.echo(f"{count:>6,} {kind}{'s' if count != 1 else ''}   {size(total)}")
    if not found:
        click.echo("nothing to remove")
    elif yes:
        click.echo(f"removed, {size(freed)} freed")
    else:
        click.echo("nothing was removed; next: ftspec runs gc --yes")


def _silent(line: str) -> None:
    """Say nothing."""


def _line(line: str) -> None:
    from ftspec.report.problems import visible

    click.echo(visible(line))


def _warn(problems: "Iterable[Problem]") -> None:
    from ftspec.report.problems import problem_lines

    for line in problem_lines(problems, colour=err_colour()):
        click.echo(line, err=True)


def _tell(admitted: "Iterable[Admitted]") -> None:
    from ftspec.report.problems import visible
    from ftspec.report.style import paint
    from ftspec.workflows.moving import shown

    everything = list(admitted)
    for one in shown(everything):
        note = f"   {visible(one.note)}" if one.note else ""
        colour = {"new": "green", "apart": "yellow"}.get(one.how, "dim")
        click.echo(f"{paint(one.how.ljust(6), colour, out_colour())} {visible(one.folder)}{note}")
    _count(everything)


def _count(admitted: "Iterable[Admitted]") -> None:
    from collections import Counter

    counts = Counter(one.how for one in admitted)
    click.echo(f"{counts['new']} new, {counts['here']} here already, {counts['apart']} kept apart")
