"""The command `ftspec`: finds the verb, words errors, sets the exit code.

Verbs are imported when called, so that `ftspec --help` costs little more than Python itself.
"""

import gc
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from ftspec.cli.stopping import Stopping, drop
from ftspec.spec.errors import Exit, FtspecError, StorageError, UsageError

# name -> (module, one line of help); the first six are those of the first day.
FIRST_DAY = {
    "init": "start a project: one experiment, its data, its evals",
    "validate": "check experiment and data; every mistake at once, no network",
    "plan": "what would be trained, reused and proved, and what it costs",
    "run": "do the plan; the same command resumes it",
    "ls": "all runs with their scores",
    "show": "one run: what it was, what it scored",
}
MORE = {
    "new": "an experiment from a data file, an OpenAI job, an axolotl file or a Hydra overlay",
    "compose": "the resolved experiment; --where names file and line of each value",
    "data": "conversations with what is learned, sums, overlap, failing items",
    "report": "one HTML page of an experiment: scores, curves, flips, data, provenance",
    "compare": "two runs or arms item by item: paired difference, verdict, flips",
    "pick": "the winner by the declared rule, and how sure the choice is",
    "lock": "write or check experiments/NAME.lock.json and NAME.results.json",
    "diff": "what changed between two git revisions: runs, cost, data, evals",
    "comment": "post a plan as one comment on its pull request, on GitHub or GitLab",
    "verify": "is every sealed file still what it was",
    "runs": "move runs: one file, or the store that the team shares",
    "reproduce": "do a run again and say whether the result is the same, or why not",
    "doctor": "environment, keys, providers and their dates",
    "schema": "JSON Schemas, so that an editor completes and checks experiments",
    "serve": "the embedded engine as an OpenAI-compatible server",
    "completion": "tab completion for bash, zsh or fish",
}


class Verbs(click.Group):
    """A group whose commands are modules `ftspec.cli.<verb>`, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all verbs, those of the first day first."""
        return [*FIRST_DAY, *MORE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one verb."""
        if cmd_name not in FIRST_DAY and cmd_name not in MORE:
            return None
        command: click.Command = importlib.import_module(f"ftspec.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which one was probably meant."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f"did you mean `ftspec {near[0]}`?" if near else "`ftspec --help` lists them"
            raise UsageError("unknown_verb", f"there is no verb `{args[0]}`", fix=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs in two groups, without importing one of them."""
        for title, verbs in (("The first day", FIRST_DAY), ("More", MORE)):
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"ftspec {version('ftspec')}")
        ctx.exit()


@click.group(
    cls=Verbs,
    help="Fine-tuning experiments as code: sweeps in YAML, exact reproduction, reviewable changes.\n\n"
    "ftspec VERB [EXPERIMENT] [OVERRIDES]   overrides are Hydra's: hyperparameters.n_epochs=1,3 weights=assistant",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
def cli() -> None:
    """Root of all verbs."""


def show_problems(error: FtspecError, as_json: bool) -> None:
    """Write an error's problems: as JSON on stdout where the caller asked for JSON, else as lines on stderr."""
    if as_json:
        from ftspec.cli.arguments import echo_json

        echo_json({"error": [problem.to_json() for problem in error.problems]})
        return
    from ftspec.cli.terminal import err_colour
    from ftspec.report.problems import problem_lines

    for line in problem_lines(error.problems, colour=err_colour()):
        click.echo(line, err=True)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; installed as the console script `ftspec`."""
    given = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in given
    try:
        result: Any = cli.main(args=given, prog_name="ftspec", standalone_mode=False)
        return int(result) if isinstance(result, int) else Exit.OK
    except FtspecError as error:
        show_problems(error, as_json)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.ClickException as error:
        show_problems(UsageError("usage", _worded(error), fix=_usage_hint(error)), as_json)
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort) as stopped:
        drop(stopped)
        click.echo("stopped; the same command goes on where it was", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; leave quietly, and keep Python from flushing into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:
        if os.environ.get("FTSPEC_DEBUG"):
            raise
        if isinstance(error, OSError) and error.filename is not None:
            # Folders that cannot be read or entered are met in many places: it is the disk's fault, no bug.
            refused = StorageError.of(error, Path(os.fsdecode(error.filename)), "read or write")
            show_problems(refused, as_json)
            return refused.exit_code
        message = f"{type(error).__name__}: {error}"
        show_problems(
            FtspecError(
                "internal", message, fix="this is a bug in ftspec: FTSPEC_DEBUG=1 shows where, please report it"
            ),
            as_json,
        )
        return Exit.INTERNAL


def _worded(error: click.ClickException) -> str:
    """Return click's message as ours are: no capital, no full stop."""
    said = error.format_message()
    return (said[:1].lower() + said[1:]).rstrip(".")


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    if context is None:
        return "see `ftspec --help`"
    see = f"see `{context.command_path} --help`"
    if isinstance(error, click.MissingParameter):
        words = [word for word in context.command.collect_usage_pieces(context) if word != "[OPTIONS]"]
        return f"usage: {' '.join([context.command_path, *words])}; {see}"
    return see


def settle() -> None:
    """Set what holds for the whole process of a command."""
    # Importing and composing make many objects that live to the end: looking through them again and again for garbage
    # costs a tenth of a short command. 200,000 new objects between two looks keep long commands just as small.
    gc.set_threshold(200_000, 20, 20)
    # Nothing may change what a spec means: pydantic looks for no plugins, which also saves reading every package's
    # entry points.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def script() -> None:
    """Entry point that ends the process with the exit code."""
    settle()
    stopping = Stopping()
    stopping.listen()
    code = main()
    if code == Exit.INTERRUPTED and stopping.asked:
        code = Exit.TERMINATED
    # The process ends: looking once more through all that was imported for garbage would cost a fifth of it.
    gc.freeze()
    sys.exit(code)
