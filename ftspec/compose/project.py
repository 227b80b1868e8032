"""Where a project's files lie, and which experiments it has."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from ftspec.spec.errors import FtspecError, UsageError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
LONGEST = 250


@dataclass(frozen=True)
class Project:
    """The folder that holds `experiments/` and `conf/`. Nothing here reads more than folder listings."""

    root: Path

    @property
    def conf(self) -> Path:
        """The user's building blocks; they come before the built-in ones."""
        return self.root / "conf"

    @property
    def experiments(self) -> Path:
        """One YAML file per experiment; its name is the file's stem."""
        return self.root / "experiments"

    @property
    def runs(self) -> Path:
        """Run directories; never committed."""
        return self.root / "runs"

    @property
    def store(self) -> Path:
        """Content-addressed blobs shared by all runs."""
        return self.runs / ".store"

    @property
    def embedded(self) -> Path:
        """State of the embedded provider's server."""
        return self.runs / ".embedded"

    @property
    def cache(self) -> Path:
        """What may be deleted at any time."""
        return self.runs / ".cache"

    @classmethod
    def find(cls, start: Path) -> "Project":
        """Return the project of the first folder, from `start` upwards, that holds `experiments/` or `conf/`.

        Raises UsageError `no_project`.
        """
        here = start.resolve()
        for folder in (here, *here.parents):
            if (folder / "experiments").is_dir() or (folder / "conf").is_dir():
                return cls(folder)
        raise UsageError(
            "no_project",
            f"no experiments/ or conf/ folder in {here} or above it",
            fix="start a project here with `ftspec init`, or change to the folder of one",
        )

    def experiment_names(self) -> list[str]:
        """Names of all experiments, sorted. A file whose stem is no valid name is not listed."""
        if not self.experiments.is_dir():
            return []
        stems = (path.stem for path in self.experiments.glob("*.yaml"))
        return sorted(stem for stem in stems if NAME.fullmatch(stem))

    def name_of(self, text: str) -> str:
        """Return the name of the experiment that `text` means: a name, `NAME.yaml` or a path to the file.

        Raises UsageError `unknown_experiment`, or `not_in_project` for a file that lies elsewhere.
        """
        given = PurePath(text)
        name = given.stem if given.suffix in (".yaml", ".yml") else given.name
        if len(given.parts) > 1 and not self._may_hold(given):
            raise UsageError(
                "not_in_project",
                f"{text} does not lie in {self.experiments}",
                fix="change to the project of that experiment, or move its file",
            )
        if name and self._holds(name) and NAME.fullmatch(name):
            return name
        raise self._unknown(text, name)

    def _holds(self, name: str) -> bool:
        # No file system has longer names, and some refuse to be asked.
        return len(name) < LONGEST and (self.experiments / f"{name}.yaml").is_file()

    def _may_hold(self, given: PurePath) -> bool:
        if given.is_absolute():
            return Path(given).parent.resolve() == self.experiments.resolve()
        return given.parent.name == self.experiments.name

    def _unknown(self, text: str, name: str) -> UsageError:
        known = self.experiment_names()
        if self._holds(name):
            return UsageError(
                "unknown_experiment",
                f"{name!r} cannot be an experiment's name",
                fix="rename its file: letters, digits, - and _",
            )
        if not known:
            return UsageError(
                "unknown_experiment",
                f"no experiment {text!r}: {self.experiments} holds none",
                fix="start one with `ftspec init` or `ftspec new`",
            )
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
        return UsageError("unknown_experiment", f"no experiment {text!r}", fix=f"{hint}known: {shown}")


def builtin_conf() -> Path:
    """Return the built-in `conf/`: inside the package when installed from a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise FtspecError(
        "no_builtin_conf", f"the built-in conf/ folder is missing beside {package}", fix="install ftspec again"
    )
