"""`/models`: bases of the engine, tuned models, and their checkpoints."""

from pathlib import Path
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse

from ftspec.server.paging import check_query
from ftspec.server.problems import ApiError
from ftspec.server.records import Record
from ftspec.server.state import Bases, State
from ftspec.server.supervisor import Supervisor
from ftspec.spec.errors import FtspecError
from ftspec.storage import read_json, write_json
from ftspec.wire.ids import checkpoint_model_id, split_checkpoint

OWNER = "ftspec"
DELETED = "deleted_models.json"


class Listed(NamedTuple):
    """A checkpoint that answers requests."""

    model: str
    epoch: int
    step: int
    digest: str
    weights: Path
    metrics: dict[str, float | None]


class Models:
    """The endpoints of `/models`, and what a model id means."""

    def __init__(self, state: State, supervisor: Supervisor, bases: Bases) -> None:
        self.state, self.supervisor, self.bases = state, supervisor, bases
        self._jobs: dict[str, str] = {}

    async def list_models(self, request: Request) -> JSONResponse:
        """`GET /models`: bases, then tuned models and checkpoints, newest first."""
        check_query(request, ())
        data = [_model_object(name, 0) for name in self.bases.names()]
        for job in self.state.jobs.newest_first():
            deleted = self._deleted(job)
            listed = [item for item in reversed(self.checkpoints(job)) if item.model not in deleted]
            data += [_model_object(item.model, job["created_at"]) for item in listed]
        return JSONResponse({"object": "list", "data": data})

    async def retrieve(self, request: Request) -> JSONResponse:
        """`GET /models/{model}`; ids may hold slashes."""
        model = request.path_params["model"]
        found = self._tuned(model)
        if found is None:
            self.base(model)
        return JSONResponse(_model_object(model, 0 if found is None else found[0]["created_at"]))

    async def delete(self, request: Request) -> JSONResponse:
        """`DELETE /models/{model}`: the id stops answering. Bases cannot be deleted."""
        model = request.path_params["model"]
        found = self._tuned(model)
        if found is None:
            self.base(model)
            raise ApiError(403, f"The base model {model!r} cannot be deleted.", code="model_not_deletable")
        job = found[0]
        with self.state.exclusive("jobs"):
            write_json(self.state.jobs.folder(job["id"]) / DELETED, sorted({*self._deleted(job), model}))
        return JSONResponse({"id": model, "object": "model", "deleted": True})

    def as_base(self, model: str) -> tuple[str, dict[str, Any]]:
        """Return (name of the base at the root, the `base` entry of a new job). Raises ApiError 404."""
        found = self._tuned(model)
        if found is None:
            base = self.base(model)
            return base.name, {"name": base.name, "digest": base.digest}
        job, listed = found
        epoch = None if listed.model == job["fine_tuned_model"] else listed.epoch
        return job["root"], {"model": model, "job": job["id"], "epoch": epoch, "digest": listed.digest}

    def for_generation(self, model: str) -> tuple[dict[str, Any], str]:
        """Return (the generator's model reference, digest of the weights). Raises ApiError 404."""
        found = self._tuned(model)
        if found is None:
            base = self.base(model)
            return {"base": base.name}, base.digest
        listed = found[1]
        return {"weights": str(listed.weights), "digest": listed.digest}, listed.digest

    def base(self, name: str) -> Any:
        """Return a base model by name or alias. Raises ApiError 404."""
        try:
            return self.bases.resolve(name)
        except FtspecError as error:
            if error.code != "unknown_model":
                raise
            message = f"The model {name!r} does not exist or you do not have access to it."
            raise ApiError(404, message, code="model_not_found", param="model") from error

    def checkpoints(self, job: Record) -> list[Listed]:
        """Return the job's checkpoints, oldest first; the last epoch's is the model itself, once the job succeeded."""
        standing = self.supervisor.standing(job)
        n_epochs = (standing.get("resolved") or {}).get("n_epochs")
        won, found = standing["status"] == "succeeded", []
        for item in sorted(standing.get("checkpoints") or [], key=lambda item: item["epoch"]):
            model = checkpoint_model_id(job["fine_tuned_model"], item["step"])
            if item["epoch"] == n_epochs:
                if not won:
                    continue  # it gets the model's own id, which answers from success on
                model = job["fine_tuned_model"]
            weights = self.state.jobs.folder(job["id"]) / "checkpoints" / f"epoch-{item['epoch']}" / "weights.npz"
            found.append(Listed(model, item["epoch"], item["step"], item["digest"], weights, item["metrics"]))
        return found

    def _tuned(self, model: str) -> tuple[Record, Listed] | None:
        """The job and checkpoint behind an id that answers; None for any other id."""
        if not model.startswith("ft:"):
            return None
        name, _ = split_checkpoint(model)
        if name not in self._jobs:
            self._jobs = {job["fine_tuned_model"]: job["id"] for job in self.state.jobs.newest_first()}
        job = self.state.jobs.get(self._jobs.get(name, ""))
        if job is None or model in self._deleted(job):
            return None
        return next(((job, listed) for listed in self.checkpoints(job) if listed.model == model), None)

    def _deleted(self, job: Record) -> set[str]:
        try:
            return set(read_json(self.state.jobs.folder(job["id"]) / DELETED))
        except FileNotFoundError:
            return set()


def _model_object(model: str, created: int) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": created, "owned_by": OWNER, "shutdown_date": None}
