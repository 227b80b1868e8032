"""The hosted path for real: the same client over TCP to the server on loopback, as `ftspec serve` elsewhere."""

import asyncio
import socket
from typing import Any

import uvicorn

from ftspec.providers.connect import connect
from ftspec.providers.jobs import train
from ftspec.server.app import create_app
from ftspec.server.timed import TimedBases, TimedGenerator, TimedLauncher
from ftspec.spec.experiment import Provider
from ftspec.spec.model import EnvRef


def test_a_job_over_tcp(place: Any, fast: Any) -> None:
    seen: list[dict[bytes, bytes]] = []

    def watched(app: Any) -> Any:
        async def inner(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                seen.append(dict(scope["headers"]))
            await app(scope, receive, send)

        return inner

    async def main() -> Any:
        launcher = TimedLauncher(lambda _: 0.05, tick=0.01)
        app = create_app(place.state, launcher=launcher, generate=TimedGenerator(), bases=TimedBases())
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            config = uvicorn.Config(watched(app), log_level="error", lifespan="off")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            provider = Provider(
                profile="openai_compatible", base_url=f"http://127.0.0.1:{port}/v1", auth=EnvRef(env="TEAM_KEY")
            )
            try:
                environ = {"TEAM_KEY": "sk-of-the-team"}
                async with connect(provider, state=place.root, environ=environ, pace=fast) as connection:
                    return connection.identity, await train(
                        connection,
                        place.request(),
                        attempt=place.attempt(),
                        blobs=place.blobs,
                        emit=place.events.append,
                    )
            finally:
                server.should_exit = True
                await serving
                await launcher.stop()
                await app.state.close()

    identity, result = asyncio.run(main())
    assert identity.startswith("http://127.0.0.1:")
    assert result.status == "succeeded"
    assert place.blobs.read(result.artifacts["weights"])
    assert len(place.jobs()) == 1
    assert all(headers[b"authorization"] == b"Bearer sk-of-the-team" for headers in seen)
    assert not any(b"openai-project" in headers or b"openai-organization" in headers for headers in seen)
    stored = b"".join(path.read_bytes() for path in place.root.rglob("*") if path.is_file())
    assert b"sk-of-the-team" not in stored
