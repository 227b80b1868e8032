"""A new experiment from a data file or from another tool's configuration: written, then planned like any other."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ftspec.compose.project import NAME, Project
from ftspec.spec.errors import DataError, FtspecError, Problem, UsageError
from ftspec.storage import write_atomic
from ftspec.workflows.editor import EXPERIMENT, MODELINE, write_schemas
from ftspec.workflows.importers.axolotl import is_axolotl, sketch_axolotl
from ftspec.workflows.importers.data_file import sketch_data
from ftspec.workflows.importers.hydra_overlay import is_overlay, sketch_overlay
from ftspec.workflows.importers.layout import block, experiment_text
from ftspec.workflows.importers.openai_job import is_job, sketch_job
from ftspec.workflows.importers.sketch import Sketch, Unequal
from ftspec.workflows.plan import Plan, make_plan

MAX_COPIED = 50 * 2**20
MAX_CONFIG = 1024 * 1024
_DATA = (".jsonl", ".ndjson", ".csv", ".tsv", ".json")
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Options:
    """What the command line says about a source. `system` is a text, or the path of a file of the project."""

    input: str | None = None
    output: str | None = None
    system: str | None = None
    data: str | None = None


@dataclass(frozen=True)
class Created:
    """What was written, and how it plans. `plan` is None where `problems` hold errors that the user must mend first."""

    name: str
    files: tuple[str, ...]
    notes: tuple[str, ...]
    unequal: tuple[Unequal, ...]
    plan: Plan | None
    problems: tuple[Problem, ...]


def new_experiment(project: Project, name: str, source: Path, options: Options = Options()) -> Created:
    """Write `experiments/NAME.yaml` from a source file, with a suite where none fits, and plan it.

    Nothing is overwritten. A data file outside the project is copied into `data/`. Raises UsageError for a name or a
    source that cannot be used, DataError for data that cannot be read.
    """
    _check_name(project, name)
    if not source.is_file():
        raise UsageError("no_source", f"there is no file {source}", fix="give --from the path of a file")
    copies: list[str] = []
    try:
        sketch = _sketch(project, name, source, options, copies)
    except FtspecError:
        for copy in copies:
            (project.root / copy).unlink(missing_ok=True)
        raise
    contents: dict[str, str] = {f"experiments/{name}.yaml": experiment_text(sketch.keys, sketch.choices, MODELINE)}
    if sketch.suite is not None:
        suite, content = sketch.suite
        contents[f"conf/evals/{suite}.yaml"] = f"# {sketch.notes[-1].capitalize()}.\n" + block({suite: content})
    for path, text in contents.items():
        write_atomic(project.root / path, text.encode())
    schemas = [str(w.path.relative_to(project.root)) for w in write_schemas(project.conf, (EXPERIMENT,)) if w.changed]
    files = (*copies, *contents, *schemas)
    try:
        plan = make_plan(project, name)
    except FtspecError as error:
        return Created(name, files, sketch.notes, sketch.unequal, None, error.problems)
    return Created(name, files, sketch.notes, sketch.unequal, plan, plan.warnings)


def _check_name(project: Project, name: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError("name", f"{name!r} cannot be an experiment's name", fix="letters, digits, - and _")
    if (project.experiments / f"{name}.yaml").exists():
        raise UsageError("file_exists", f"experiments/{name}.yaml exists; nothing was written", fix="choose a new name")
    if (project.conf / f"{name}.yaml").exists() or name == "config":
        raise UsageError("name", f"{name} is the name of a base configuration", fix="choose a new name")


def _sketch(project: Project, name: str, source: Path, options: Options, copies: list[str]) -> Sketch:
    suffix = Path(source.name.removesuffix(".gz")).suffix.lower()
    data = None if options.data is None else _inside(project, Path(options.data), copies)
    if suffix in _YAML:
        return _of_yaml(source, data)
    if suffix == ".json" and source.stat().st_size <= MAX_CONFIG:
        content = _json(source)
        if is_job(content):
            return sketch_job(content, data)
    if suffix not in _DATA:
        fix = f"data files end in {', '.join(_DATA)}; configurations in {', '.join(_YAML)} or .json"
        raise UsageError("unknown_source", f"cannot tell what {source} is", fix=fix)
    system: Any = options.system
    if system is not None and (project.root / system).is_file():
        system = {"file": system}
    path = _inside(project, source, copies)
    return sketch_data(
        project.root, path, _suite_name(project, name), input_=options.input, output=options.output, system=system
    )


def _of_yaml(source: Path, data: str | None) -> Sketch:
    from omegaconf._utils import get_yaml_loader  # dates are texts, 1e-5 is a number, a key stands once

    if source.stat().st_size > MAX_CONFIG:
        raise UsageError("limit", f"{source} is larger than {MAX_CONFIG // 1024} KiB")
    try:
        text = source.read_text("utf-8-sig")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise DataError("yaml", "aliases (*) are not read", file=str(source), fix="write the values out")
        content = yaml.load(text, Loader=get_yaml_loader())
        json.dumps(content)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        raise DataError("yaml", f"is no valid YAML: {error.problem}", file=str(source), **place) from None
    except TypeError as error:
        raise DataError("yaml", f"holds what no JSON does: {error}", file=str(source)) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise DataError("yaml", f"is no valid YAML: {error}", file=str(source)) from None
    if is_axolotl(content):
        return sketch_axolotl(content, data)
    if is_overlay(text, content):
        return sketch_overlay(text, content, data)
    fix = "axolotl configurations (base_model, datasets) and Hydra overlays (# @package, hydra:, defaults:) are read"
    raise UsageError("unknown_source", f"cannot tell what {source} is", fix=fix)


def _json(source: Path) -> Any:
    try:
        return json.loads(source.read_text("utf-8-sig"))
    except (ValueError, RecursionError):
        return None  # the data reader words what is wrong with it


def _inside(project: Project, path: Path, copies: list[str]) -> str:
    """Return a file's path in the project; one that lies outside is copied into `data/`."""
    if not path.is_file() and not path.is_absolute() and (project.root / path).is_file():
        path = project.root / path
    if not path.is_file():
        raise UsageError("no_source", f"there is no file {path}")
    found = path.resolve()
    if found.is_relative_to(project.root.resolve()):
        return found.relative_to(project.root.resolve()).as_posix()
    target = project.root / "data" / path.name
    if found.stat().st_size > MAX_COPIED:
        fix = "link or move it into data/ yourself"
        raise UsageError("outside_project", f"{path} lies outside the project and is large", fix=fix)
    if target.exists() and target.read_bytes() != found.read_bytes():
        raise UsageError("file_exists", f"data/{path.name} exists and is another file", fix="rename one of them")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, target)
        copies.append(f"data/{path.name}")
    return f"data/{path.name}"


def _suite_name(project: Project, name: str) -> str:
    """Return a free name for a suite, like the experiment's."""
    from ftspec.compose.project import builtin_conf

    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    plain = plain if plain[0].isalpha() else f"suite_{plain}"
    folders = (project.conf / "evals", builtin_conf() / "evals")
    taken = {path.stem for folder in folders for path in folder.glob("*.yaml")}
    return next(found for n in range(1, 1000) if (found := plain if n == 1 else f"{plain}_{n}") not in taken)
