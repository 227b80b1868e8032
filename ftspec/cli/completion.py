"""`ftspec completion SHELL`: the script that a shell sources to complete verbs, experiments and options."""

import click
from click.shell_completion import get_completion_class

_WHERE = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/ftspec.fish"}


@click.command(help="Print tab completion for a shell; add its output to the shell's start-up file.")
@click.argument("shell", type=click.Choice(sorted(_WHERE)))
def command(shell: str) -> None:
    """Print the completion script."""
    from ftspec.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None  # the choices above are click's own shells
    click.echo(f"# add to {_WHERE[shell]}:  ftspec completion {shell} >> {_WHERE[shell]}")
    click.echo(kind(cli, {}, "ftspec", "_FTSPEC_COMPLETE").source())
