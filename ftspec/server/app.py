"""The app: endpoints over a state folder, a launcher of training workers, a generator of answers and named bases."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from ftspec.server import problems
from ftspec.server.access import AccessLog
from ftspec.server.chat import Chat
from ftspec.server.files import Files
from ftspec.server.history import History
from ftspec.server.jobs import Jobs
from ftspec.server.models import Models
from ftspec.server.state import Base, Bases, Generator, Launcher, State
from ftspec.server.supervisor import Supervisor

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(state: Path, *, launcher: Launcher, generate: Generator, bases: Bases | None = None) -> Starlette:
    """Return the app over the folder `state`; several apps and processes may serve one folder.

    `bases` defaults to the embedded engine's. `app.state.recover()` takes up orphaned jobs, `await app.state.close()`
    ends the generator; the lifespan does both, and `serving` for callers in process, where no lifespan runs.
    """
    folder = State(state)
    supervisor = Supervisor(folder, launcher)
    models = Models(folder, supervisor, EngineBases() if bases is None else bases)
    files = Files(folder, supervisor)
    jobs = Jobs(folder, supervisor, files, models)
    history, chat = History(jobs, models), Chat(models, generate)
    opened: list[AccessLog] = []

    def access_log(app: ASGIApp) -> AccessLog:
        opened.append(AccessLog(app, folder.root / "access.jsonl"))
        return opened[-1]

    async def close() -> None:
        await generate.aclose()
        for log in opened:
            log.close()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        supervisor.recover()
        try:
            yield
        finally:
            await close()

    routes = [
        _route("/files", POST=files.create, GET=files.list_files),
        _route("/files/{id}", GET=files.retrieve, DELETE=files.delete),
        _route("/files/{id}/content", GET=files.content),
        _route("/fine_tuning/jobs", POST=jobs.create, GET=jobs.list_jobs),
        _route("/fine_tuning/jobs/{id}", GET=jobs.retrieve),
        _route("/fine_tuning/jobs/{id}/cancel", POST=jobs.cancel),
        _route("/fine_tuning/jobs/{id}/pause", POST=jobs.pause),
        _route("/fine_tuning/jobs/{id}/resume", POST=jobs.resume),
        _route("/fine_tuning/jobs/{id}/events", GET=history.events),
        _route("/fine_tuning/jobs/{id}/checkpoints", GET=history.checkpoints),
        _route("/models", GET=models.list_models),
        _route("/models/{model:path}", GET=models.retrieve, DELETE=models.delete),
        _route("/chat/completions", POST=chat.create),
    ]
    app = Starlette(routes=[Mount("/v1", routes=routes)], middleware=[Middleware(access_log)], lifespan=lifespan)
    problems.install(app)
    app.state.recover, app.state.close = supervisor.recover, close
    return app


def _route(path: str, **endpoints: Endpoint) -> Route:
    """One route a path, so that other methods on it get 405."""

    async def dispatch(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method](request)

    return Route(path, dispatch, methods=list(endpoints))


class EngineBases:
    """The embedded engine's base models."""

    def names(self) -> tuple[str, ...]:
        """Aliases, then the bases themselves."""
        from ftspec.engine.bases import ALIASES, BASES

        return (*ALIASES, *BASES)

    def resolve(self, name: str) -> Base:
        """Return the base. Raises DataError (`unknown_model`)."""
        from ftspec.engine.bases import resolve

        return resolve(name)


class EngineLauncher:
    """Starts the embedded engine's worker processes."""

    def launch(self, job_dir: Path) -> None:
        """Start a worker on the job, or leave it to one that will be free."""
        from ftspec.engine.launch import launch

        launch(job_dir)


def embedded_app(state: Path) -> Starlette:
    """Return the app over the real engine: training and generating processes, nothing of numpy in this one."""
    from ftspec.server.generators import engine_generators

    return create_app(state, launcher=EngineLauncher(), generate=engine_generators())


@asynccontextmanager
async def serving(state: Path) -> AsyncIterator[Starlette]:
    """Serve the embedded engine in this process: orphaned jobs are taken up, and the generator ends with the block."""
    app = embedded_app(state)
    app.state.recover()
    try:
        yield app
    finally:
        await app.state.close()
