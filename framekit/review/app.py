"""The server of the review page: addresses, and what they answer. The page itself lies in static/."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from framekit.errors import CommandError, FramekitError, printable
from framekit.review import asked
from framekit.review.safety import Guard
from framekit.review.session import Refused, Session

STATIC = Path(__file__).with_name("static")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PICTURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
"""What stored pictures begin with."""
FOR_EVER = {"cache-control": "private, max-age=31536000, immutable"}
BETWEEN_LOOKS = 0.1
"""Seconds between looks for what is new."""
BETWEEN_STATS = 1.0
"""Seconds between looks for what other programs wrote."""
LONGEST_WAIT = 30.0


def make_app(
    session: Session, *, secret: str, port: int, closing: Callable[[], bool] = lambda: False
) -> ASGIApp:
    """The server.

    Args:
        session: What it shows, and where it saves.
        secret: First part of every path.
        port: That it is reached at.
        closing: Whether the server is about to end; then nobody is made to wait.
    """
    answers = Answers(session, closing)
    files = {path.name: path for path in STATIC.iterdir() if path.suffix in TYPES}
    # Read once: nothing that a browser sends is ever part of a path.
    static = {name: (path.read_bytes(), TYPES[path.suffix]) for name, path in files.items()}
    get = [
        Route("/", partial(_static, static, "index.html")),
        Route("/static/{name}", partial(_static, static, None)),
        Route("/api/dataset", answers.dataset),
        Route("/api/view", answers.view),
        Route("/api/rows", answers.rows),
        Route("/api/frame/{row}", answers.frame),
        Route("/api/changes", answers.changes),
        Route("/thumb/{row}", answers.thumbnail),
        Route("/pair/{row}/{index}/{half}", answers.picture),
    ]
    post = [
        Route("/api/decide", answers.decide, methods=["POST"]),
        Route("/api/keep-this", answers.keep_this, methods=["POST"]),
        Route("/api/undo", answers.undo, methods=["POST"]),
        Route("/api/save-elsewhere", answers.save_elsewhere, methods=["POST"]),
    ]
    app = Starlette(routes=[Mount(f"/{secret}", routes=[*get, *post])])
    return Guard(app, secret=secret, port=port)


async def _static(files: dict[str, tuple[bytes, str]], name: str | None, request: Request) -> Response:
    data, kind = files.get(name or request.path_params["name"], (None, None))
    if data is None:
        return _json({"error": "not found"}, 404)
    return Response(data, media_type=kind, headers={"cache-control": "no-cache"})


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, allow_nan=False), status, media_type="application/json")


class Answers:
    """One method for each address."""

    def __init__(self, session: Session, closing: Callable[[], bool]) -> None:
        self._session, self._closing = session, closing

    async def dataset(self, _: Request) -> Response:
        """What there is."""
        return await _answer(lambda: _json(self._session.summary()))

    async def view(self, request: Request) -> Response:
        """Frames of a view: little-endian uint32."""

        def work() -> Response:
            given: dict[str, list[str]] = {}
            for name, value in request.query_params.multi_items():
                given.setdefault(name, []).append(value)
            rows, version = self._session.view(asked.view_of(given))
            data = rows.astype("<u4").tobytes()
            return Response(data, media_type="application/octet-stream", headers={"x-version": str(version)})

        return await _answer(work)

    async def rows(self, request: Request) -> Response:
        """Some frames."""

        def work() -> Response:
            words = [word for word in request.query_params.get("rows", "").split(",") if word]
            if len(words) > asked.MOST_ROWS:
                raise CommandError(f"at most {asked.MOST_ROWS} rows at once")
            return _json(self._session.told([asked.integer(word, "row") for word in words]))

        return await _answer(work)

    async def frame(self, request: Request) -> Response:
        """One frame, whole."""
        return await _answer(lambda: _json(self._session.told_all(_row(request))))

    async def thumbnail(self, request: Request) -> Response:
        """A frame's thumbnail."""
        return await _answer(lambda: _picture(request, self._session.thumbnail(_row(request))))

    async def picture(self, request: Request) -> Response:
        """A crop, or its smoothed half."""

        def work() -> Response:
            index, half = asked.integer(request.path_params["index"], "crop"), request.path_params["half"]
            if half not in ("image", "smoothed"):
                return _json({"error": "not found"}, 404)
            found = self._session.picture(_row(request), index, smoothed=half == "smoothed")
            return _picture(request, found)

        return await _answer(work)

    async def changes(self, request: Request) -> Response:
        """What is new since a version, as soon as there is something."""
        try:
            since = asked.integer(request.query_params.get("since", ""), "since")
            wait = asked.integer(request.query_params.get("wait", "0"), "wait")
        except CommandError as error:
            return _json({"error": error.what}, 400)
        until = time.monotonic() + min(float(wait), LONGEST_WAIT)
        looked = 0.0
        while True:
            if time.monotonic() - looked > BETWEEN_STATS:
                try:
                    await run_in_threadpool(self._session.look_for_others)
                except FramekitError as error:
                    return _json({"error": str(error)}, 500)
                looked = time.monotonic()
            news = await run_in_threadpool(self._session.changes, since)
            if news is not None:
                return _json(news)
            if time.monotonic() > until or self._closing() or await request.is_disconnected():
                return _json({"version": since, "rows": []})
            await asyncio.sleep(BETWEEN_LOOKS)

    async def decide(self, request: Request) -> Response:
        """Decide about frames, a view or crops."""
        data = await request.body()

        def work() -> Response:
            body = asked.body_of(data)
            keep, reason = asked.keep_in(body), asked.text(body.get("reason") or "", "reason")
            tab = asked.tab_in(body)
            if "crops" in body:
                crops = asked.crops_in(body["crops"])
                return _json(self._session.decide_crops(crops, keep=keep, reason=reason, tab=tab))
            which = asked.view_in(body["view"]) if "view" in body else asked.rows_in(body.get("rows"))
            expect = body.get("expect")
            if expect is not None and type(expect) is not int:
                raise CommandError("expect is a number")
            return _json(self._session.decide(which, keep=keep, reason=reason, expect=expect, tab=tab))

        return await _answer(work)

    async def keep_this(self, request: Request) -> Response:
        """Keep one of a group."""
        data = await request.body()

        def work() -> Response:
            body = asked.body_of(data)
            (row,) = asked.rows_in([body.get("row")])
            return _json(self._session.keep_this(row, tab=asked.tab_in(body)))

        return await _answer(work)

    async def undo(self, request: Request) -> Response:
        """Take the last action of a tab back, or of any."""
        data = await request.body()

        def work() -> Response:
            body = asked.body_of(data)
            return _json(self._session.undo(tab=asked.tab_in(body), anyone=body.get("anyone") is True))

        return await _answer(work)

    async def save_elsewhere(self, _: Request) -> Response:
        """Save in the file that was offered."""
        return await _answer(lambda: _json(self._session.save_elsewhere()))


async def _answer(work: Callable[[], Response]) -> Response:
    """What `work` gives, made in a thread; one line for what goes wrong."""

    def kept() -> Response:
        try:
            return work()
        except Refused as error:
            return _json({"error": error.what, "items": error.items}, 409)
        except CommandError as error:
            return _json({"error": str(error)}, 400)
        except FramekitError as error:
            return _json({"error": str(error)}, 500)
        except (OSError, pa.ArrowException) as error:
            return _json(
                {"error": printable(str(error).splitlines()[0] if str(error) else type(error).__name__)}, 500
            )

    return await run_in_threadpool(kept)


def _row(request: Request) -> int:
    return asked.integer(request.path_params["row"], "row")


def _picture(request: Request, data: bytes | None) -> Response:
    """Bytes that are a picture by their first ones: a stranger's dataset may hold anything."""
    kind = next((kind for start, kind in PICTURES.items() if data and data.startswith(start)), None)
    if data is None or kind is None:
        return Response(status_code=204)  # which a browser takes for a broken picture, and not for a fault
    tag = f'"{len(data):x}-{hash(data) & (1 << 64) - 1:x}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=FOR_EVER | {"etag": tag})
    return Response(data, media_type=kind, headers=FOR_EVER | {"etag": tag})
