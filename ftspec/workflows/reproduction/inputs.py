"""Level inputs: byte-equal training and eval files, and the same request for a job."""

from ftspec.providers.body import ATTEMPT, KEY, TRAIN, job_body, normalised_sha256
from ftspec.providers.profiles import load_profile
from ftspec.runs.directory import Attempt
from ftspec.storage import read_log
from ftspec.workflows.plan import PlannedRun, canonical_hyperparameters
from ftspec.workflows.reproduction.case import Case
from ftspec.workflows.reproduction.verdicts import Verdict


def inputs_of(case: Case) -> Verdict:
    """Compare rendered files and the create-job request with what was recorded."""
    run = case.planned
    assert run is not None
    told = list(_files(case, run))
    request = _recorded_request(case.attempt)
    if request is not None and request != (now := _normalised_request(run)):
        told.append(f"the create-job request differs: normalised sha256 {now[:12]}, not {request[:12]}")
    if told:
        return Verdict("inputs", "differs", tuple(told))
    same = "the same files and the same request" if request is not None else "the same files (no request is recorded)"
    return Verdict("inputs", "reproduced", (same,))


def _files(case: Case, run: PlannedRun) -> list[str]:
    if case.directory is None:
        same = case.locked is None or case.locked.data == run.data_digest
        return [] if same else ["the rendered files differ"]
    told = []
    for role in ("train", "valid", "test"):
        before = (case.directory.facts["data"].get(role) or {}).get("sha256")
        part = run.prepared.parts.get(role)
        if before != (part.sha256 if part else None):
            told.append(f"{role} file {part.sha256[:12] if part else 'missing'}, not {str(before)[:12]}")
    return told


def _recorded_request(attempt: Attempt | None) -> str | None:
    if attempt is None:
        return None
    found = [r for r in read_log(attempt.path / "requests.jsonl") if r["record"] == "request" and r["of"] == "job"]
    return str(found[-1]["normalised_sha256"]) if found else None


def _normalised_request(run: PlannedRun) -> str:
    """Build the body as a new attempt would send it; ids, suffix and metadata fall out of the digest."""
    experiment = run.point.experiment
    valid = run.prepared.parts.get("valid")
    body = job_body(
        load_profile(experiment.provider.profile),
        model=experiment.model,
        method=experiment.method.type,
        hyperparameters=canonical_hyperparameters(experiment.hyperparameters.model_dump()),
        seed=experiment.seed,
        suffix=experiment.suffix,
        metadata=dict(experiment.metadata),
        training_file="train",
        validation_file="valid" if valid else None,
        identity={KEY: "0" * 32, ATTEMPT: "none", TRAIN: run.train_digest},
    )
    files = {"train": run.prepared.parts["train"].sha256} | ({"valid": valid.sha256} if valid else {})
    return normalised_sha256(body, files)
