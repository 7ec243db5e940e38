"""Serves a viewer on loopback until it is told to stop. Knows sockets and uvicorn; nothing of what is shown."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn

from gadfly.errors import StoreError
from gadfly.view.app import Viewer
from gadfly.view.gate import HOST
from gadfly.view.live import LiveRun
from gadfly.view.pictures import Pictures


def serve(
    folder: Path,
    pictures: Pictures,
    *,
    port: int,
    labeller: str,
    on_ready: Callable[[str], None],
    on_progress: Callable[[int, int], None] | None = None,
    on_server: Callable[[uvicorn.Server], None] | None = None,
) -> None:
    """Open the run in `folder` and serve it on 127.0.0.1, any free port if `port` is 0, until interrupted.

    `on_ready` gets the address, with the token, once it can be opened. Raises StoreError where there is no run, or the
    port is taken.
    """
    token = secrets.token_urlsafe(32)
    with ThreadPoolExecutor(1, "store") as thread, _listening(port) as listener:
        run = thread.submit(LiveRun, folder, on_progress).result()
        try:
            bound = listener.getsockname()[1]
            viewer = Viewer(run, pictures, thread, token, bound, labeller)
            config = uvicorn.Config(viewer.app, log_level="error", access_log=False, server_header=False)
            server = uvicorn.Server(config)
            if on_server is not None:
                on_server(server)
            on_ready(f"http://{HOST}:{bound}/?token={token}")
            server.run(sockets=[listener])
        finally:
            thread.submit(run.close).result()


def _listening(port: int) -> socket.socket:
    # asyncio sends at once (TCP_NODELAY) only where the protocol is named; else a page waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(64)
    except OSError as fault:
        listener.close()
        said = f"port {port} of {HOST} cannot be listened on ({fault.strerror}); give another --port"
        raise StoreError(said) from fault
    return listener
