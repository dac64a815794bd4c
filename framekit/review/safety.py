"""What keeps strangers out: a secret in the address, checks of Host and Origin, bounds, headers.

The page runs on the person's own machine, where any web site that they look at may send requests to it, too.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 16 << 20
"""Bytes; a list of 100,000 frames takes less than 1 MB."""
LONGEST_QUERY = 16 << 10
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Lets only requests of the page itself through to `app`, and answers the rest without a word of detail.

    Args:
        app: What is guarded.
        secret: First part of every path.
        port: That the server listens on.
    """

    def __init__(self, app: ASGIApp, *, secret: str, port: int) -> None:
        self._app, self._secret = app, secret.encode()
        names = (b"127.0.0.1", b"localhost", b"[::1]")
        # Browsers leave a scheme's own port out.
        self._hosts = {name + f":{port}".encode() for name in names} | (set(names) if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, what = self._refusal(scope)
        if status:
            await _answer(send, status, what)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(pair for pair in more if pair[0] not in there)]
                if b"cache-control" not in there:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        if scope["method"] == "POST":
            body = await _body(receive)
            if body is None:
                await _answer(send_with_headers, 413, "too large")
                return
            receive = _again(body)
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str]:
        """(0, "") for what is let through."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        host, origin = headers.get(b"host", []), headers.get(b"origin", [])
        first = scope["path"].encode("utf-8", "surrogatepass").split(b"/", 2)[1:2]
        if len(host) != 1 or host[0].lower() not in self._hosts:  # a name that was bound to this address
            return 421, "not here"
        if not first or not hmac.compare_digest(first[0], self._secret):
            return 404, "not found"
        if any(value not in {b"http://" + its for its in self._hosts} for value in origin):
            return 403, "not from there"
        if scope["method"] == "POST":
            kind = headers.get(b"content-type", [b""])[0].split(b";")[0].strip().lower()
            return (0, "") if len(origin) == 1 and kind == b"application/json" else (403, "not from there")
        if scope["method"] not in ("GET", "HEAD") or len(scope["query_string"]) > LONGEST_QUERY:
            return 405, "not allowed"
        return 0, ""


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None where it is too large."""
    parts, size = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _answer(send: Send, status: int, what: str) -> None:
    headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"} | HEADERS
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": what.encode()})
