"""`/fine_tuning/jobs`: create, find, control. A job is durable before it is answered."""

import hashlib
import json
import secrets
import time
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from ftspec.server.bodies import read_json
from ftspec.server.files import Files, key_reused
from ftspec.server.models import Models
from ftspec.server.paging import after_index, list_answer, page_limit
from ftspec.server.problems import ApiError, invalid, not_found
from ftspec.server.records import Record
from ftspec.server.state import State
from ftspec.server.supervisor import Standing, Supervisor
from ftspec.wire import limits
from ftspec.wire.ids import new_id, tuned_model_id
from ftspec.wire.requests import JobCreate, parse_body
from ftspec.wire.responses import TERMINAL

ORGANIZATION = "embedded"
FAULT_SCOPE = "ftspec.fault"  # set by the fault middleware: how the worker shall misbehave


class Jobs:
    """The endpoints of `/fine_tuning/jobs` but for their history."""

    def __init__(self, state: State, supervisor: Supervisor, files: Files, models: Models) -> None:
        self.state, self.supervisor, self.files, self.models = state, supervisor, files, models

    async def create(self, request: Request) -> JSONResponse:
        """`POST /fine_tuning/jobs`, with `Idempotency-Key` honoured."""
        body = await read_json(request)
        # From here to the answer there is no await: a client that gives up cancels this handler.
        job = self._commit(body, request.headers.get("idempotency-key"), request.scope.get(FAULT_SCOPE))
        return JSONResponse(self.job_object(job))

    def _commit(self, body: Any, key: str | None, fault: str | None) -> Record:
        wanted = parse_body(JobCreate, body)
        _check_implemented(wanted)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self.state.exclusive("jobs"):
            if key is not None and (known := self._by_key(key)) is not None:
                if known["request_sha256"] != digest:
                    raise key_reused(key)
                return known
            job = self._record(wanted, {"idempotency_key": key, "request_sha256": digest, "fault": fault})
            self.state.jobs.put(job)
        # A worker that cannot be started is told by the next poll: the job exists and must be answered.
        with suppress(Exception):
            self.supervisor.launch(job)
        return job

    def _by_key(self, key: str) -> Record | None:
        return next((job for job in self.state.jobs.newest_first() if job["idempotency_key"] == key), None)

    def _record(self, wanted: JobCreate, extra: dict[str, Any]) -> Record:
        training = self.files.usable(wanted.training_file, "training_file")
        validation = wanted.validation_file and self.files.usable(wanted.validation_file, "validation_file")
        if validation and training["sha256"] == validation["sha256"]:
            raise invalid("The training file and the validation file are the same.", "validation_file")
        root, base = self.models.as_base(wanted.model)
        identifier, now = new_id("ftjob-"), time.time_ns()
        return {
            "id": identifier,
            "created_at": now // 10**9,
            "created_ns": now,
            "model": wanted.model,
            "root": root,
            "base": base,
            "training_file": _content_path(training),
            "training_file_id": training["id"],
            "validation_file": _content_path(validation) if validation else None,
            "validation_file_id": validation["id"] if validation else None,
            "hyperparameters": wanted.resolved_hyperparameters.model_dump(),
            "seed": secrets.randbelow(limits.SEED_MAX + 1) if wanted.seed is None else wanted.seed,
            "fine_tuned_model": tuned_model_id(root, identifier, wanted.suffix),
            "suffix": wanted.suffix,
            "metadata": dict(wanted.metadata or {}),
            **extra,
        }

    async def list_jobs(self, request: Request) -> JSONResponse:
        """`GET /fine_tuning/jobs`, newest first; `metadata[k]=v` filters, `metadata=null` finds jobs without any."""
        limit = page_limit(request, limits.PAGE, limits.JOBS_PAGE_DEFAULT)
        wanted = _metadata_filter(request)
        jobs = self.state.jobs.newest_first()
        start = after_index(request, [job["id"] for job in jobs]) if "after" in request.query_params else 0
        fitting = (job for job in jobs[start:] if _fits(job["metadata"], wanted))
        return JSONResponse(list_answer(fitting, limit, self.job_object))

    async def retrieve(self, request: Request) -> JSONResponse:
        """`GET /fine_tuning/jobs/{id}`."""
        return JSONResponse(self.job_object(self.find(request)))

    async def cancel(self, request: Request) -> JSONResponse:
        """`POST …/cancel`; repeating it is harmless."""
        job = self.find(request)
        standing = self.supervisor.cancel(job)
        if standing["status"] in ("succeeded", "failed"):
            raise _wrong_state(job, standing, "cancelled")
        return JSONResponse(self.job_object(job, standing))

    async def pause(self, request: Request) -> JSONResponse:
        """`POST …/pause`; repeating it is harmless."""
        job = self.find(request)
        if (standing := self.supervisor.standing(job))["status"] in TERMINAL:
            raise _wrong_state(job, standing, "paused")
        return JSONResponse(self.job_object(job, self.supervisor.pause(job)))

    async def resume(self, request: Request) -> JSONResponse:
        """`POST …/resume`; repeating it is harmless."""
        job = self.find(request)
        if (standing := self.supervisor.standing(job))["status"] in TERMINAL:
            raise _wrong_state(job, standing, "resumed")
        return JSONResponse(self.job_object(job, self.supervisor.resume(job)))

    def find(self, request: Request) -> Record:
        """Return the job named in the path. Raises ApiError 404."""
        identifier = request.path_params["id"]
        job = self.state.jobs.get(identifier)
        if job is None:
            raise not_found("fine-tuning job", identifier)
        return job

    def job_object(self, job: Record, standing: Standing | None = None) -> dict[str, Any]:
        """Return the API's job object. `auto` values become numbers once the worker resolved them."""
        standing = self.supervisor.standing(job) if standing is None else standing
        over, won = standing["status"] in TERMINAL, standing["status"] == "succeeded"
        resolved = standing.get("resolved") or {}
        hyperparameters = {name: resolved.get(name, value) for name, value in job["hyperparameters"].items()}
        return {
            "id": job["id"],
            "object": "fine_tuning.job",
            "created_at": job["created_at"],
            "error": standing.get("error") if standing["status"] == "failed" else None,
            "fine_tuned_model": job["fine_tuned_model"] if won else None,
            "finished_at": standing.get("finished_at") if over else None,
            "estimated_finish": None,
            "hyperparameters": hyperparameters,
            "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            "integrations": [],
            "metadata": job["metadata"],
            "model": job["base"].get("name", job["model"]),
            "organization_id": ORGANIZATION,
            "result_files": self.files.result_ids(job, standing),
            "seed": job["seed"],
            "status": standing["status"],
            "trained_tokens": standing.get("trained_tokens") if over else None,
            "training_file": job["training_file_id"],
            "validation_file": job["validation_file_id"],
            "user_provided_suffix": job["suffix"],
        }


def _check_implemented(wanted: JobCreate) -> None:
    """Refuse what the API knows and the embedded engine does not do."""
    if wanted.method_type != "supervised":
        message = f"Unsupported parameter: method {wanted.method_type!r} is not supported here, only 'supervised'."
        raise invalid(message, "method.type", code="unsupported_parameter")
    if wanted.integrations:
        message = "Unsupported parameter: 'integrations' is not supported here."
        raise invalid(message, "integrations", code="unsupported_parameter")


def _content_path(file: Record) -> str:
    return f"files/{file['id']}/content"


def _wrong_state(job: Record, standing: Standing, verb: str) -> ApiError:
    message = f"Job {job['id']} has {standing['status']} and cannot be {verb}."
    return ApiError(400, message, code="invalid_job_state", param="id")


def _metadata_filter(request: Request) -> dict[str, str] | None:
    """`metadata[k]=v` pairs; None for `metadata=null`, {} where nothing is asked."""
    wanted: dict[str, str] = {}
    for key, value in request.query_params.multi_items():
        if key.startswith("metadata[") and key.endswith("]"):
            wanted[key[len("metadata[") : -1]] = value
        elif key == "metadata":
            if value not in ("null", ""):
                raise invalid("metadata must be metadata[key]=value or null.", "metadata")
            return None
        elif key not in ("limit", "after"):
            raise invalid(f"Unsupported parameter: '{key}' is not supported here.", key, code="unsupported_parameter")
    return wanted


def _fits(metadata: dict[str, str], wanted: dict[str, str] | None) -> bool:
    if wanted is None:
        return not metadata
    return all(metadata.get(key) == value for key, value in wanted.items())
