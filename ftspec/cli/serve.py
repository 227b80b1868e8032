"""`ftspec serve`: the embedded engine over TCP, for any OpenAI client."""

from pathlib import Path

import click


@click.command(help="Serve the embedded engine as an OpenAI-compatible API: files, fine-tuning jobs, chat.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; there is no authentication.")
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 picks a free one."
)
@click.option("--state", type=click.Path(path_type=Path), help="State folder; default runs/.embedded of the project.")
def command(host: str, port: int, state: Path | None) -> None:
    """Serve until stopped; trainings go on in their workers and are found again at the next start."""
    import socket

    import uvicorn

    from ftspec.cli.arguments import current_project
    from ftspec.server.app import embedded_app
    from ftspec.spec.errors import UsageError

    folder = state or current_project().embedded
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise UsageError(
            "port_taken", f"cannot listen on {host}:{port}: {error.strerror}", fix="give --port 0"
        ) from error
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"serving {folder} at http://{shown}:{listener.getsockname()[1]}/v1   (any key; Ctrl-C stops)")
    config = uvicorn.Config(embedded_app(folder), log_level="warning", lifespan="on", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
