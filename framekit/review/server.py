"""Run the review page on this machine until it is stopped."""

from __future__ import annotations

import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import framekit.manifest
from framekit.errors import CommandError
from framekit.review.session import Session

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = "127.0.0.1"


def review(
    root: Path,
    *,
    by: str,
    port: int = 0,
    apart: Path | None = None,
    secret: str | None = None,
    ready: Callable[[str, Session], None] = lambda _url, _session: None,
    opened: bool = False,
) -> Session:
    """Serve the review page of a dataset until it is stopped by Ctrl-C or SIGTERM.

    Only this machine can reach it, and only who knows its address, which holds a secret.

    Args:
        root: The dataset's folder.
        by: Who decides.
        port: To listen on; 0 takes a free one.
        apart: A file to save words in, in place of the dataset.
        secret: In the address; by default a new one.
        ready: Told the address and the session as soon as the page can be opened.
        opened: Open it in a browser.

    Returns:
        The session, after its end.

    Raises:
        CommandError: What the server needs is not installed, or the port is taken.
        FramekitError: The dataset or its decisions cannot be read.
    """
    _check_installed()
    session = Session(framekit.manifest.open(root), by=by, apart=apart)
    with listening(port) as listener:
        server, _ = make_server(session, listener, secret=secret, ready=ready, opened=opened)
        server.run(sockets=[listener])
    return session


def _check_installed() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        advice = "install it with: pip install 'cartoon-framekit[review]'"
        raise CommandError("the review page needs Starlette and uvicorn", advice=advice) from None


def make_server(
    session: Session,
    listener: socket.socket,
    *,
    secret: str | None = None,
    ready: Callable[[str, Session], None] = lambda _url, _session: None,
    opened: bool = False,
) -> tuple[uvicorn.Server, str]:
    """A server of the review page that is to run on `listener`, and its address; arguments as in `review`."""
    import uvicorn

    from framekit.review.app import make_app

    port, secret = listener.getsockname()[1], secret or secrets.token_urlsafe(24)
    url = f"http://{LOOPBACK}:{port}/{secret}/"

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:  # uvicorn's raises them again in the end
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            before = {number: signal.signal(number, self.handle_exit) for number in STOPS}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(url, session)
            if opened:
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    app = make_app(session, secret=secret, port=port, closing=lambda: server.should_exit)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        lifespan="off",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=2,
    )
    server = Server(config)
    return server, url


STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """A socket that only this machine reaches.

    Raises:
        CommandError: The port is taken.
    """
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            advice = "give another --port, or none for a free one"
            raise CommandError(f"port {port} cannot be had ({error.strerror})", advice=advice) from None
        yield listener
    finally:
        listener.close()
