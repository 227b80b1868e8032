"""A planned run put on disk before its first job: resolved config, how it was composed, and links to its data."""

from pathlib import Path
from typing import Any

import yaml

from ftspec.compose import Project, builtin_conf
from ftspec.data.read_back import prove_files
from ftspec.evals.suites import ResolvedSuite
from ftspec.runs.directory import SCHEMA, NewRun, RunDirectory, create_run
from ftspec.runs.environment import blob_oid, dirty_patch
from ftspec.spec.digests import short
from ftspec.spec.errors import DataError, StorageError
from ftspec.storage import BlobStore, FileLock
from ftspec.workflows.elsewhere import BUILT_IN, git_facts
from ftspec.workflows.plan import Plan, PlannedRun
from ftspec.workflows.prepared import facts_of, mask_facts

_DATA_FILES = {"train": "train.jsonl", "valid": "valid.jsonl"}


def record_runs(plan: Plan) -> dict[str, RunDirectory]:
    """Write the directory of every planned run that has none yet; return all of them by train digest.

    All points are on disk before the first job, so that a failing sweep can always be read and continued.
    """
    directories = {run.train_digest: run.directory for run in plan.runs if run.directory is not None}
    missing = [run for run in plan.runs if run.train_digest not in directories]
    if not missing:
        return directories
    blobs = BlobStore(plan.project.store)
    git = _git_facts(plan.project, blobs)
    files = _stored_files(plan, blobs, git.get("commit"))
    for suite in {id(suite.suite): suite.suite for run in missing for suite in run.suites}.values():
        keep_items(plan.project, suite, blobs)
    lock = FileLock(plan.project.store / "locks" / "create.lock")
    if not lock.acquire(timeout=60):
        raise StorageError("busy", "another process holds the lock for new run directories", file=str(lock.path))
    with lock:
        for run in missing:
            if run.train_digest not in directories:
                directories[run.train_digest] = create_run(
                    plan.project.runs, blobs, _new_run(plan, run, blobs, git, files)
                )
    return directories


def _git_facts(project: Project, blobs: BlobStore) -> dict[str, Any]:
    """Commit and state of the tree; what differs from the commit is kept as a blob, scrubbed and capped."""
    facts = git_facts(project)
    patch = dirty_patch(project.root) if facts.get("dirty") else None
    if patch is None:
        return facts
    return facts | {"patch": blobs.put_bytes(patch[0].encode()), "patch_cut": patch[1]}


def _stored_files(plan: Plan, blobs: BlobStore, commit: str | None) -> list[dict[str, str]]:
    """Keep the bytes of every configuration and text file, so that a run explains itself without the repository.

    In a repository each of the project's own files also has its blob id there.
    """
    files = []
    for file in plan.composed.files:
        stored = blobs.put_file(_source_path(plan, file.path))
        if stored != file.sha256:
            raise DataError("file_changed", "this file changed while the experiment was composed", file=file.path)
        known = {"path": file.path, "sha256": stored}
        if commit is not None and not file.path.startswith(BUILT_IN):
            known["oid"] = blob_oid(blobs.read(stored), commit)
        files.append(known)
    return files


def keep_items(project: Project, suite: ResolvedSuite, blobs: BlobStore) -> None:
    """Keep the items of a suite that came from a file, so that its answers can be graded when the file is gone.

    Raises DataError `file_changed` where the file is another one than was planned with.
    """
    if suite.file is None:
        return
    path, wanted = project.root / suite.file.path, suite.file.sha256
    stored = blobs.put_file(path) if path.is_file() else None
    if stored != wanted and not blobs.has(wanted):
        raise DataError("file_changed", f"the items of suite {suite.name} changed since", file=suite.file.path)


def _source_path(plan: Plan, path: str) -> Path:
    """Return where a composed file lies: `conf:` names a built-in block, everything else is relative to the project."""
    builtin = path.removeprefix(BUILT_IN)
    return plan.project.root / path if builtin == path else builtin_conf() / builtin


def _new_run(plan: Plan, run: PlannedRun, blobs: BlobStore, git: dict[str, Any], files: list[dict[str, str]]) -> NewRun:
    experiment = run.point.experiment
    _, limits = facts_of(experiment)
    prove_files(run.prepared, limits.roles)
    data = {}
    for role, name in _DATA_FILES.items():
        if (part := run.prepared.parts.get(role)) is not None:
            data[name] = blobs.put_file(part.path)
    if (items := run.prepared.parts.get("test")) is not None:
        blobs.put_file(items.path)  # run.json names it: stored answers can be graded again when the sources are gone
    data["rows.jsonl"] = blobs.put_file(run.prepared.rows)
    facts = {
        "schema": SCHEMA,
        "experiment": plan.name,
        "label": run.label,
        "point": run.point.coordinates,
        "digests": {
            "train": run.train_digest,
            "data": run.data_digest,
            "evals": {suite.name: suite.eval_digest for suite in run.suites},
        },
        "base": {"requested": run.point.experiment.model, "model": run.identity.model, "engine": run.identity.engine},
        "data": {
            role: {
                "sha256": part.sha256,
                "rows": part.rows,
                "tokens": part.tokens,
                "learned_tokens": part.learned_tokens,
            }
            for role, part in run.prepared.parts.items()
        },
        "weights": mask_facts(run.prepared, experiment),
        "sources": [
            {"path": source.path, "sha256": source.sha256, "bytes": source.bytes, "rows": source.rows}
            for source in run.prepared.sources
        ],
        "items": [
            {"path": file.path, "sha256": file.sha256}
            for file in dict.fromkeys(suite.suite.file for suite in run.suites)
            if file is not None
        ],
        "defaults": list(run.point.defaults),
        "configs": files,
        "git": git,
    }
    return NewRun(
        experiment=plan.name,
        label=run.label,
        facts=facts,
        readme=_readme(plan, run),
        config=_yaml(run.point.config),
        hydra_config=_yaml(run.point.hydra_config),
        overrides=_yaml(list(run.point.overrides)),
        data=data,
    )


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
    return text


_PLAINLY = """\
    python - <<'END'
    import os, hydra, yaml
    from ftspec.compose import builtin_conf
    from omegaconf import OmegaConf
    run = "{run}"
    overrides = yaml.safe_load(open(f"{{run}}/.hydra/overrides.yaml"))
    overrides += [f"hydra.searchpath=[file://{{os.path.abspath('conf')}}, file://{{builtin_conf()}}]"]
    with hydra.initialize_config_dir(os.path.abspath("experiments"), version_base=None):
        config = OmegaConf.to_container(hydra.compose("{experiment}", overrides))
    config.pop("sweep", None)
    print("the same" if config == yaml.safe_load(open(f"{{run}}/.hydra/config.yaml")) else "not the same")
    END"""


def _readme(plan: Plan, run: PlannedRun) -> str:
    experiment = run.point.experiment
    folder = f"runs/{plan.name}/{run.label}.{short(run.train_digest)}"
    lines = [
        f"# {plan.name} / {run.label}",
        "",
        *([experiment.description.strip(), ""] if isinstance(experiment.description, str) else []),
        f"- base model `{experiment.model}` on `{experiment.provider.profile}`, seed {experiment.seed}",
        f"- train digest `{short(run.train_digest)}`, data digest `{short(run.data_digest)}`",
        "- `config.yaml` is the resolved experiment, `.hydra/` how Hydra composed it, `run.json` digests and sources",
        "- `attempts/` holds each training (`latest` names the newest), `evals/` the scores of each suite",
        "- verify without ftspec: `cd attempts/001 && sha256sum -c SEALED`",
        "",
        "Compose it again with plain Hydra, in the project's folder at the commit that `run.json` names (ftspec only",
        "says where its built-in blocks lie):",
        "",
        _PLAINLY.format(run=folder, experiment=plan.name),
        "",
    ]
    return "\n".join(lines)
