"""An S3 server on loopback that can be told to fail: moto's, behind a few lines that let it."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FAULTS = ("500", "503", "drop", "cut")
"""Answers 500 or 503, hangs up at once, or hangs up in the middle of the answer."""


@dataclass
class S3Server:
    """A server that is running.

    Attributes:
        url: Where.
        rate: Share of the requests that fail.
        kinds: How.
        requests: (method, path, range) of all that came, failed ones too.
        failed: How many failed, by kind.
    """

    url: str
    rate: float = 0.0
    kinds: tuple[str, ...] = FAULTS
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)

    def fetched(self, name: str) -> int:
        """Bytes of ranges asked for of the object whose path ends with `name`."""
        ranges = [asked[6:].split("-") for _, path, asked in self.requests if path.endswith(name) and asked]
        return sum(int(stop) - int(start) + 1 for start, stop in ranges)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run one until the block ends."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    inner = DomainDispatcherApplication(create_backend_app)
    state = S3Server("")
    served = make_server("127.0.0.1", 0, _failing(inner, state), threaded=True, request_handler=Quiet)
    state.url = f"http://127.0.0.1:{served.port}"
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        served.shutdown()
        served.server_close()
        thread.join()


@contextmanager
def filled_store(buckets: Mapping[str, Mapping[str, Path]]) -> Iterator[S3Server]:
    """A server that whoever asks for S3 here is sent to, with files in buckets by their keys."""
    import boto3
    from s3fs import S3FileSystem

    with s3_server() as served, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", served.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "id")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        for bucket, files in buckets.items():
            client.create_bucket(Bucket=bucket)
            for key, file in files.items():
                client.upload_file(str(file), bucket, key)
        S3FileSystem.clear_instance_cache()
        yield served
        S3FileSystem.clear_instance_cache()


def _failing(inner: Any, state: S3Server) -> Callable[..., Iterable[bytes]]:
    lock = threading.Lock()

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with lock:
            said = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE", "")
            state.requests.append(said)
            fault = state.chance.choice(state.kinds) if state.chance.random() < state.rate else None
            if fault:
                state.failed[fault] = state.failed.get(fault, 0) + 1
        if fault == "drop":
            return _hang_up(environ)
        if fault in ("500", "503"):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(f"{fault} Trouble", [("Content-Type", "text/plain"), ("Content-Length", "4")])
            return [b"oops"]
        if fault == "cut":
            return _cut(environ, inner(environ, start))
        return inner(environ, start)

    return answer


def _cut(environ: dict[str, Any], body: Iterable[bytes]) -> Iterator[bytes]:
    """Half of the answer."""
    whole = b"".join(body)
    yield whole[: len(whole) // 2]
    yield from _hang_up(environ)


def _hang_up(environ: dict[str, Any]) -> list[bytes]:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError
