"""`ftspec lock`: write the lock of an experiment, or check that it still describes it."""

from typing import Any

import click

from ftspec.cli.arguments import current_project, echo_json, json_option


@click.command(help="Write experiments/NAME.lock.json and NAME.results.json; without NAME for every experiment.")
@click.argument("names", nargs=-1, metavar="[EXPERIMENT]...")
@click.option("--check", is_flag=True, help="Write nothing; exit 4 and name each stale entry with its cause.")
@json_option
def command(names: tuple[str, ...], check: bool, as_json: bool) -> int:
    """Write or check."""
    from ftspec.spec.errors import Exit, Problem, StaleError
    from ftspec.workflows.knowing import stored_results
    from ftspec.workflows.locking import lock_state, write_lock
    from ftspec.workflows.plan import draft_plan

    project = current_project()
    chosen = [project.name_of(name) for name in names] or project.experiment_names()
    shown: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for name in chosen:
        plan = draft_plan(project, name)
        state = lock_state(plan) if check else None
        written = () if check else write_lock(plan)
        if state is not None:
            stored_results(project, name)  # a conflict in it is told, though it makes no lock stale
            problems += state.problems(name, project.root)
        changes = state.changes if state else ()
        entry: dict[str, Any] = {
            "experiment": name,
            "runs": len(plan.runs),
            "stale": state.stale if state else False,
            "changes": [{"cause": c.cause, "message": c.message, "runs": list(c.runs)} for c in changes],
            "written": [path.relative_to(project.root).as_posix() for path in written],
        }
        shown.append(entry)
    if as_json:
        echo_json({"schema": 1, "locks": shown})
        return Exit.STALE if problems else Exit.OK
    for entry in shown:
        if not entry["stale"]:
            files = entry["written"]
            said = f"wrote {', '.join(files)}" if files else "up to date"
            click.echo(f"{entry['experiment']}: {said}, {entry['runs']} runs")
    if problems:
        raise StaleError.many(problems)
    return Exit.OK
