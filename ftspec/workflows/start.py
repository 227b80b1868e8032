"""A new project: one experiment that runs as it is, with its data, prompt and suite, ready to commit."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ftspec.compose.project import builtin_conf
from ftspec.spec.errors import UsageError
from ftspec.storage import write_atomic
from ftspec.workflows.editor import EXPERIMENT, as_text, schema
from ftspec.workflows.recipes import Kind, recipe

_STARTER = ("experiments/quickstart.yaml", "data/tickets.jsonl", "prompts/route.md")
_SUITE = "conf/evals/routing.yaml"
_PIN = "requirements.txt"  # which ftspec reviews and runs: CI takes it from the base, so that a change of it is seen

_IGNORE = """\
# Run directories are made, not written. Share them with your team by other means than git.
/runs/
"""

_ATTRIBUTES = """\
# Machine-written, one line an entry. Results of both sides of a merge are kept; a lock in conflict: ftspec lock NAME.
experiments/*.lock.json linguist-generated=true
experiments/*.results.json merge=union
experiments/*.rows binary
conf/*.schema.json linguist-generated=true
"""

_README = """\
# Fine-tuning experiments

One experiment is one file in `experiments/`; `conf/` holds building blocks of your own, `data/` the data sets.

    ftspec validate quickstart     every mistake at once, with file and line
    ftspec plan quickstart         what would be trained, what it costs, what the evals can prove
    ftspec run quickstart          do it; the same command resumes it
    ftspec ls                      all runs with their scores

`model: tiny` is a small language model that trains here on the CPU. It shows how everything works; it learns this
sample task, not yours.
"""


@dataclass(frozen=True)
class Started:
    """A project that was written: its folder and its files, relative to it."""

    folder: Path
    files: tuple[str, ...]


def starter_folder() -> Path:
    """Return where the sample project lies: inside an installed wheel, or the checkout's own top."""
    packaged = Path(__file__).resolve().parents[1] / "starter"
    return packaged if packaged.is_dir() else builtin_conf().parent


def start_project(folder: Path, ci: Kind | None = None) -> Started:
    """Write a project into `folder`, made if missing; `ci` names the recipe that comes with it.

    Raises UsageError if a file exists: nothing is overwritten.
    """
    source = starter_folder()
    contents = {name: (source / name).read_bytes() for name in _STARTER}
    contents[_SUITE] = (builtin_conf() / "evals" / "routing.yaml").read_bytes()
    contents[f"conf/{EXPERIMENT}.schema.json"] = as_text(schema(EXPERIMENT, None)).encode()
    contents |= {".gitignore": _IGNORE.encode(), ".gitattributes": _ATTRIBUTES.encode(), "README.md": _README.encode()}
    contents |= recipe(ci) | _pinned() if ci else {}
    return _write(folder, contents)


def add_recipe(folder: Path, ci: Kind) -> Started:
    """Write a recipe into a project that is there. Raises UsageError if one of its files exists."""
    pinned = {} if (folder / _PIN).exists() else _pinned()
    return _write(folder, recipe(ci) | pinned)


def _pinned() -> dict[str, bytes]:
    return {_PIN: f"ftspec=={version('ftspec')}\n".encode()}


def _write(folder: Path, contents: dict[str, bytes]) -> Started:
    if folder.exists() and not folder.is_dir():
        raise UsageError("not_a_folder", f"{folder} is a file", fix="choose another name")
    existing = [name for name in contents if (folder / name).exists()]
    if existing:
        raise UsageError(
            "file_exists",
            f"{folder} already holds {', '.join(existing)}; nothing was written",
            fix="choose an empty folder: ftspec init NAME; for CI alone: ftspec init --ci github",
        )
    for name, content in contents.items():
        write_atomic(folder / name, content)
    return Started(folder, tuple(contents))
