"""`ftspec schema`: JSON Schemas, so that an editor completes and checks experiments."""

from pathlib import Path

import click

from ftspec.cli.arguments import current_project


@click.command(
    help="Print the JSON Schema of experiments, or of the files of one group (weights, evals, ...), for editors; "
    "or of the `plan` that diff --json writes; --write puts those of editors into conf/; --docs prints the reference "
    "of every key."
)
@click.argument("name", required=False)
@click.option("--write", is_flag=True, help="Write conf/*.schema.json anew.")
@click.option("--check", is_flag=True, help="Exit 4 if a written schema is stale.")
@click.option("--docs", is_flag=True, help="Print docs/spec.md: every key with its meaning and an example.")
def command(name: str | None, write: bool, check: bool, docs: bool) -> int:
    """Print, write or check schemas."""
    if docs:
        from ftspec.spec.reference import markdown

        click.echo(markdown(), nl=False)
        return 0
    if name == "plan" and not (write or check):
        from ftspec.workflows.review.changes import SCHEMA_FILE

        click.echo(SCHEMA_FILE.read_text("utf-8"), nl=False)
        return 0
    from ftspec.spec.errors import Exit, UsageError
    from ftspec.spec.experiment import GROUPS
    from ftspec.workflows import editor

    if not write and not check:
        try:
            conf: Path | None = current_project().conf
        except UsageError:  # outside a project the built-in blocks are described
            conf = None
        click.echo(editor.as_text(editor.schema(name or editor.EXPERIMENT, conf)), nl=False)
        return Exit.OK
    project = current_project()
    names = (name,) if name else (editor.EXPERIMENT, *GROUPS)
    if write:
        for written in editor.write_schemas(project.conf, names):
            click.echo(f"{'wrote' if written.changed else 'same'}   {written.path.relative_to(project.root)}")
        return Exit.OK
    there = [one for one in names if editor.schema_file(one, project.conf).exists()]
    stale = [one for one in there if editor.is_stale(one, project.conf)]
    for one in stale:
        click.echo(f"stale   {editor.schema_file(one, project.conf).relative_to(project.root)}", err=True)
    if stale:
        click.echo("next    ftspec schema --write", err=True)
    return Exit.STALE if stale else Exit.OK
