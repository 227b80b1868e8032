"""`ftspec completion SHELL`: the script that a shell sources to complete verbs, experiments, overrides and options."""

import click
from click.shell_completion import get_completion_class

_WHERE = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/ftspec.fish"}

# A key that ends with `=` waits for its value: no space after it. fish does so by itself.
_NO_SPACE = {
    "bash": ("COMPREPLY+=($value)", "COMPREPLY+=($value); [[ $value == *= ]] && compopt -o nospace"),
    "zsh": (
        "compadd -U -V unsorted -a completions",
        'if [[ $completions[1] == *= ]]; then compadd -U -S "" -V unsorted -a completions; '
        "else compadd -U -V unsorted -a completions; fi",
    ),
}


@click.command(help="Print tab completion for a shell; add its output to the shell's start-up file.")
@click.argument("shell", type=click.Choice(sorted(_WHERE)))
def command(shell: str) -> None:
    """Print the completion script."""
    from ftspec.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None  # the choices above are click's own shells
    source = kind(cli, {}, "ftspec", "_FTSPEC_COMPLETE").source()
    if shell in _NO_SPACE:
        source = source.replace(*_NO_SPACE[shell])
    click.echo(f"# add to {_WHERE[shell]}:  ftspec completion {shell} >> {_WHERE[shell]}")
    click.echo(source)
