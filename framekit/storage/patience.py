"""Patience with networks: what may pass is tried again for a while, what won't ends in one line."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from framekit.errors import FramekitError

Answer = TypeVar("Answer")

PATIENCE = 20.0
"""Seconds for which a call that fails is tried again."""
LESS = 2.0
"""The same for calls that follow within `REMEMBERED` seconds of one that was given up."""
REMEMBERED = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
PASSING = (408, 425, 429)
"""HTTP's answers below 500 that may be others a little later."""
ANSWERS = {
    400: "it takes this for a bad request",
    401: "it wants to know who asks",
    403: "it refuses access",
    404: "there is no such thing",
    412: "something is there already",
    416: "it has no such range",
}

_given_up: dict[str, float] = {}


class RemoteError(FramekitError):
    """What is at an address cannot be had, or not be put there, for other reasons than that it is missing."""


def patiently(call: Callable[[], Answer], where: Any) -> Answer:
    """Call, again and again while it fails in a way that may pass.

    Args:
        call: What to do; doing it twice must do no harm.
        where: The path it is about: a `RemotePath`.

    Raises:
        FileNotFoundError, FileExistsError: As `call` says.
        RemoteError: All else that it raises, at once or after some time.
    """
    store = "/".join(str(where).split("/")[:3])
    started = time.monotonic()
    patience = LESS if started - _given_up.get(store, -REMEMBERED) < REMEMBERED else PATIENCE
    pause = FIRST_PAUSE
    while True:
        try:
            answer = call()
        except (FramekitError, FileExistsError):
            raise
        except Exception as error:
            _raise_if_final(error, where)
            if time.monotonic() + pause > started + patience:
                _given_up[store] = time.monotonic()
                what = f"cannot be reached or does not answer as it should ({said_of(error)})"
                advice = "check network and address, and run the same command again"
                raise RemoteError(what, where=where, advice=advice) from error
        else:
            _given_up.pop(store, None)
            return answer
        time.sleep(pause * random.uniform(0.5, 1))  # many workers must not come back at once
        pause = min(2 * pause, LONGEST_PAUSE)


def _raise_if_final(error: Exception, where: Any) -> None:
    status = _status(error)
    if status in (409, 412) and "IfNoneMatch" in repr(error) + repr(error.__cause__):
        raise FileExistsError(str(where)) from None
    if status == 404 or (isinstance(error, FileNotFoundError) and status is None):
        if isinstance(error, FileNotFoundError) and _is_network(error.__cause__):
            return  # fsspec says of a web server that is gone that the file is not there
        raise FileNotFoundError(str(where)) from None
    if status is not None and status < 500 and status not in PASSING:
        raise RemoteError(ANSWERS.get(status, f"its server says {status}"), where=where) from error
    if isinstance(error, (NotImplementedError, TypeError, ValueError)) and status is None:
        what = f"cannot be done with such an address ({said_of(error)})"
        raise RemoteError(what, where=where) from error
    if isinstance(error, PermissionError) or type(error).__name__ in ("NoCredentialsError", "RefreshError"):
        advice = "see to your credentials for it; docs/remote.md says where they are looked for"
        raise RemoteError(ANSWERS[403], where=where, advice=advice) from error


def _is_network(cause: BaseException | None) -> bool:
    of_network = isinstance(cause, OSError) or type(cause).__module__.startswith("aiohttp")
    return of_network and not isinstance(cause, FileNotFoundError) and _status(cause) != 404


def _status(error: BaseException | None) -> int | None:
    """The HTTP status that an error of fsspec's, or what caused it, carries."""
    cause = error.__cause__ if isinstance(error, OSError) else None  # what fsspec made an OSError of
    for fault in (error, cause):
        response = getattr(fault, "response", None)
        if isinstance(response, dict):
            found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            found = getattr(fault, "status", None) or getattr(fault, "code", None)
        if isinstance(found, int):
            return found
    return None


def said_of(error: BaseException) -> str:
    """The first line of an error without what must not be shown: users, passwords, signatures."""
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    line = (str(error).splitlines() or [""])[0]
    line = re.sub(r"(\w+://)[^\s/@'\"]*@", r"\1", line)
    line = re.sub(r"(\w+://[^\s?'\"]*)\?[^\s'\"]*", r"\1", line)
    return line or type(error).__name__
