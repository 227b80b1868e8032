"""`ftspec validate`: compose, check and lint; every mistake at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ftspec.cli.arguments import (
    Target,
    current_project,
    echo_json,
    experiments_argument,
    gathered,
    json_option,
    parse_targets,
)
from ftspec.cli.terminal import err_colour, out_colour

if TYPE_CHECKING:
    from ftspec.workflows.plan import Plan


def _complete_codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ftspec.workflows.explain import codes

    return [CompletionItem(code) for code in codes() if code.startswith(incomplete)]


def _explain(code: str, as_json: bool) -> int:
    """Print what a code means; needs no project."""
    from ftspec.report.lint import explanation_lines
    from ftspec.spec.errors import Exit
    from ftspec.workflows.explain import explain

    found = explain(code)
    if as_json:
        echo_json(found.to_json())
    else:
        for line in explanation_lines(found, colour=out_colour()):
            click.echo(line)
    return Exit.OK


def _rewrite(targets: Sequence[Target]) -> None:
    """Rewrite aliases, and say on stderr where."""
    from ftspec.workflows.aliases import rewrite

    for target in targets:
        for alias in rewrite(target.project, target.name, target.overrides):
            click.echo(f"fixed   {alias.file}:{alias.line}: weights.{alias.key}: {alias.written()}", err=True)


@click.command(help="Check experiment and data: every mistake at once, with its place. No network, no code of yours.")
@experiments_argument
@click.option("--all", "everything", is_flag=True, help="Every experiment of the project, as without a name.")
@click.option("--fix", is_flag=True, help="Rewrite what has one right form: loss options under other tools' names.")
@click.option("--explain", "code", metavar="CODE", shell_complete=_complete_codes, help="What a lint or a rule means.")
@json_option
def command(words: tuple[str, ...], everything: bool, fix: bool, code: str | None, as_json: bool) -> int:
    """Print what is wrong, or that nothing is."""
    if code is not None:
        return _explain(code, as_json)
    import ftspec.api as api
    from ftspec.report.problems import problem_lines
    from ftspec.spec.errors import Exit
    from ftspec.workflows.locking import lock_warnings

    def plan_of(target: Target) -> "Plan":
        return api.plan(target.name, target.overrides, project=target.project.root)

    named = (*current_project().experiment_names(), *words) if everything else words
    targets = parse_targets(named, unnamed_all=True)
    if fix:
        _rewrite(targets)
    plans, wrong = gathered(targets, plan_of)
    if wrong is not None and not plans:
        raise wrong
    # Experiments share data: what is said of it is said once.
    told = list(dict.fromkeys(problem for plan in plans for problem in (*plan.warnings, *lock_warnings(plan))))
    counts = [(plan.name, len(plan.runs)) for plan in plans]
    if as_json:
        problems = [*told, *(wrong.problems if wrong is not None else ())]
        valid = [{"experiment": name, "runs": runs} for name, runs in counts]
        echo_json({"schema": 1, "valid": valid, "problems": [problem.to_json() for problem in problems]})
        return wrong.exit_code if wrong is not None else Exit.OK
    for line in problem_lines(told, colour=err_colour()):
        click.echo(line, err=True)
    for name, runs in counts:
        click.echo(f"{name}: valid, {runs} run{'s' if runs != 1 else ''}")
    if wrong is not None:
        raise wrong
    return Exit.OK
