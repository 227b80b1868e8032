"""`/files`: uploads, and the result files that follow from finished jobs without being stored."""

import base64
import hashlib
import time
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from ftspec.server.bodies import UPLOAD_BYTES, bounded
from ftspec.server.paging import after_index, check_query, list_answer, page_limit
from ftspec.server.problems import ApiError, invalid, not_found
from ftspec.server.records import Record
from ftspec.server.state import State
from ftspec.server.supervisor import Standing, Supervisor
from ftspec.storage import write_atomic
from ftspec.wire import limits
from ftspec.wire.ids import new_id
from ftspec.wire.responses import TERMINAL

CSV_PREFIX, WEIGHTS_PREFIX = "file-metrics-", "file-weights-"
JOB_PREFIX = "ftjob-"
_FORM_FIELDS = {"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"}


class Files:
    """The endpoints of `/files`."""

    def __init__(self, state: State, supervisor: Supervisor) -> None:
        self.state, self.supervisor = state, supervisor

    async def create(self, request: Request) -> JSONResponse:
        """`POST /files`: multipart with `file` and `purpose`."""
        async with bounded(request, UPLOAD_BYTES).form(max_files=1, max_fields=8) as form:
            upload = _check_form(form)
            content = await upload.read()
            expires = _expires_after(form)
            # From here to the answer there is no await: a client that gives up cancels this handler.
            record = self._store(upload.filename or "file", content, expires, request.headers.get("idempotency-key"))
        return JSONResponse(file_object(record))

    def _store(self, filename: str, content: bytes, expires: int | None, key: str | None) -> Record:
        if not content:
            raise invalid("The file is empty.", "file")
        if len(content) > limits.FILE_BYTES:
            raise ApiError(413, f"The file is larger than {limits.FILE_BYTES} bytes.", code="request_too_large")
        sha256 = hashlib.sha256(content).hexdigest()
        with self.state.exclusive("files"):
            if key is not None and (known := self._by_key(key)) is not None:
                if (known["sha256"], known["filename"]) != (sha256, filename):
                    raise key_reused(key)
                return known
            created_ns = time.time_ns()
            created_at = created_ns // 10**9
            record: Record = {
                "id": new_id("file-"),
                "bytes": len(content),
                "created_at": created_at,
                "created_ns": created_ns,
                "expires_at": None if expires is None else created_at + expires,
                "filename": filename,
                "purpose": "fine-tune",
                "sha256": sha256,
                "idempotency_key": key,
            }
            write_atomic(self.state.files.folder(record["id"]) / "content", content)
            self.state.files.put(record)
            return record

    def _by_key(self, key: str) -> Record | None:
        return next((file for file in self.state.files.newest_first() if file["idempotency_key"] == key), None)

    async def list_files(self, request: Request) -> JSONResponse:
        """`GET /files`, newest first; `purpose`, `limit`, `order`, `after`."""
        check_query(request, ("purpose", "limit", "order", "after"))
        limit = page_limit(request, limits.FILES_PAGE, limits.FILES_PAGE_DEFAULT)
        order, purpose = request.query_params.get("order", "desc"), request.query_params.get("purpose")
        if order not in ("asc", "desc"):
            raise invalid(f"order must be 'asc' or 'desc', got {order!r}.", "order")
        records = [] if purpose == "fine-tune-results" else [f for f in self.state.files.newest_first() if _alive(f)]
        if purpose in (None, "fine-tune-results"):
            records = sorted(records + self._all_results(), key=lambda f: (f["created_ns"], f["id"]), reverse=True)
        elif purpose != "fine-tune":
            records = []
        if order == "asc":
            records.reverse()
        start = after_index(request, [record["id"] for record in records])
        return JSONResponse(list_answer(records[start:], limit, file_object))

    async def retrieve(self, request: Request) -> JSONResponse:
        """`GET /files/{id}`."""
        return JSONResponse(file_object(self._find(request.path_params["id"])))

    async def delete(self, request: Request) -> JSONResponse:
        """`DELETE /files/{id}`. A file that a job still needs is kept: 409 `file_in_use`."""
        identifier = request.path_params["id"]
        record = self._find(identifier)
        if (job := self._result_job(identifier)) is not None:
            write_atomic(self.state.jobs.folder(job["id"]) / _deleted_marker(identifier), b"")
        else:
            with self.state.exclusive("jobs"):
                self._check_unused(identifier)
                self.state.files.drop(identifier)
        return JSONResponse({"id": record["id"], "object": "file", "deleted": True})

    async def content(self, request: Request) -> Response:
        """`GET /files/{id}/content`: the raw bytes; metrics as base64 of a CSV, as OpenAI answers."""
        identifier = request.path_params["id"]
        record = self._find(identifier)
        if identifier.startswith(CSV_PREFIX):
            return Response(self._csv(record["job"]), media_type="application/octet-stream")
        path = self.state.files.folder(identifier) / "content"
        if identifier.startswith(WEIGHTS_PREFIX):
            path = self.state.root / record["path"]
        return FileResponse(path, media_type="application/octet-stream", filename=record["filename"])

    def usable(self, identifier: str, param: str) -> Record:
        """Return an upload that a job may train on. Raises ApiError 400 as OpenAI does."""
        record = self.state.files.get(identifier)
        if record is None or not _alive(record):
            raise invalid(f"file {identifier!r} does not exist", param, code="file_not_found")
        return record

    def result_ids(self, job: Record, standing: Standing) -> list[str]:
        """Ids of a job's result files: the metrics first, then the weights."""
        return [record["id"] for record in self._results(job, standing)]

    def _find(self, identifier: str) -> Record:
        job = self._result_job(identifier)
        if job is not None:
            for record in self._results(job, self.supervisor.standing(job)):
                deleted = self.state.jobs.folder(job["id"]) / _deleted_marker(identifier)
                if record["id"] == identifier and not deleted.exists():
                    return record
        elif (found := self.state.files.get(identifier)) is not None and _alive(found):
            return found
        raise not_found("File object", identifier)

    def _result_job(self, identifier: str) -> Record | None:
        for prefix in (CSV_PREFIX, WEIGHTS_PREFIX):
            if identifier.startswith(prefix):
                return self.state.jobs.get(JOB_PREFIX + identifier.removeprefix(prefix))
        return None

    def _all_results(self) -> list[Record]:
        found = []
        for job in self.state.jobs.newest_first():
            folder = self.state.jobs.folder(job["id"])
            for record in self._results(job, self.supervisor.standing(job)):
                if not (folder / _deleted_marker(record["id"])).exists():
                    found.append(record)
        return found

    def _results(self, job: Record, standing: Standing) -> list[Record]:
        if standing["status"] != "succeeded":
            return []
        tail = job["id"].removeprefix(JOB_PREFIX)
        last = max(standing["checkpoints"], key=lambda checkpoint: checkpoint["epoch"])
        folder = self.state.jobs.folder(job["id"])
        weights = folder / "checkpoints" / f"epoch-{last['epoch']}" / "weights.npz"
        common = {
            "created_at": standing["finished_at"],
            "created_ns": int(standing["finished_at"]) * 10**9,
            "purpose": "fine-tune-results",
            "expires_at": None,
            "job": job["id"],
        }
        results = [
            {
                "id": WEIGHTS_PREFIX + tail,
                "filename": "weights.npz",
                "bytes": weights.stat().st_size,
                "path": weights.relative_to(self.state.root).as_posix(),
                **common,
            }
        ]
        csv = folder / "results.csv"
        if csv.exists():  # a restored model has none
            size = -(-csv.stat().st_size // 3) * 4  # as base64
            results.insert(0, {"id": CSV_PREFIX + tail, "filename": "step_metrics.csv", "bytes": size, **common})
        return results

    def _csv(self, job_id: str) -> bytes:
        return base64.b64encode((self.state.jobs.folder(job_id) / "results.csv").read_bytes())

    def _check_unused(self, identifier: str) -> None:
        for job in self.state.jobs.newest_first():
            if identifier not in (job["training_file_id"], job["validation_file_id"]):
                continue
            if self.supervisor.standing(job)["status"] not in TERMINAL:
                message = f"File {identifier} is used by {job['id']}: cancel the job or wait for its end."
                raise ApiError(409, message, code="file_in_use", param="id", retry=False)


def key_reused(key: str) -> ApiError:
    """The answer to a key that was used for something else; repeating it can never help."""
    message = f"Idempotency-Key {key!r} was used for another request body."
    return ApiError(409, message, code="idempotency_key_reused", retry=False)


def file_object(record: Record) -> dict[str, Any]:
    """Return the API's file object; `expires_at` only where it has one."""
    out = {
        "id": record["id"],
        "object": "file",
        "bytes": record["bytes"],
        "created_at": record["created_at"],
        "filename": record["filename"],
        "purpose": record["purpose"],
        "status": "processed",
    }
    return out if record["expires_at"] is None else {**out, "expires_at": record["expires_at"]}


def _alive(record: Record) -> bool:
    return record["expires_at"] is None or record["expires_at"] > time.time()


def _deleted_marker(identifier: str) -> str:
    return "deleted-metrics" if identifier.startswith(CSV_PREFIX) else "deleted-weights"


def _check_form(form: FormData) -> UploadFile:
    for name in form:
        if name not in _FORM_FIELDS:
            raise invalid(f"Unsupported parameter: '{name}' is not supported here.", name, code="unsupported_parameter")
    upload, purpose = form.get("file"), form.get("purpose")
    if not isinstance(upload, UploadFile):
        raise invalid("Missing required parameter: 'file' (multipart).", "file", code="missing_required_parameter")
    if purpose is None:
        raise invalid("Missing required parameter: 'purpose'.", "purpose", code="missing_required_parameter")
    if purpose != "fine-tune":
        raise invalid(f"purpose must be 'fine-tune' here, got {purpose!r}.", "purpose")
    return upload


def _expires_after(form: FormData) -> int | None:
    anchor, seconds = form.get("expires_after[anchor]"), form.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    least, most = limits.FILE_EXPIRES_SECONDS
    if anchor != "created_at":
        raise invalid("expires_after.anchor must be 'created_at'.", "expires_after.anchor")
    if not isinstance(seconds, str) or not seconds.isdigit() or not least <= int(seconds) <= most:
        raise invalid(f"expires_after.seconds must be from {least} to {most}.", "expires_after.seconds")
    return int(seconds)
