"""Fifty people at one review page, again and again: no word that was answered is lost, no file is torn."""

import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError

import pytest

from framekit.extraction.extract import extract
from framekit.manifest.decisions import NAME, by_people, read_words, state
from framekit.options import ExtractOptions
from tests.films import numbered_film
from tests.framekit.review.serving import Server, serving
from tests.framekit.review.test_server import ask, say
from tests.processes import until
from tests.soak.memory import run

OWN, CONTESTED = 4, 10
"""Frames that one client alone decides about, and frames that all of them do."""
PAGES = ["", "api/view?state=out", "api/rows?rows=0,1,2,3,4,5,6,7", "api/frame/5", "thumb/7", "api/dataset"]


class Word(NamedTuple):
    """What a client said of a frame, and when it was answered: by which server, and with which version."""

    when: tuple[int, int]
    item: str
    keep: bool
    reason: str


@dataclass
class Clients:
    """People who decide at the same time, and what they know.

    Attributes:
        asked: Reasons of all words that were sent; each is another.
        answered: Words that a server said it saved.
    """

    count: int
    asked: list[str] = field(default_factory=list)
    answered: list[Word] = field(default_factory=list)
    killed: threading.Event = field(default_factory=threading.Event)

    @property
    def frames(self) -> int:
        return CONTESTED + OWN * self.count

    def begin(self, pool: ThreadPoolExecutor, server: Server, number: int, turns: int) -> list[Future[None]]:
        """Let each take its turns at server number `number`, or until that is killed."""
        return [pool.submit(self._turns, server, number, client, turns) for client in range(self.count)]

    def _turns(self, server: Server, number: int, client: int, turns: int) -> None:
        try:
            for turn in range(turns):
                self._decide(server, number, client, turn)
                read(server, PAGES[(client + turn) % len(PAGES)])
        except HTTPError:
            raise
        except (OSError, HTTPException):
            if not self.killed.is_set():
                raise

    def _decide(self, server: Server, number: int, client: int, turn: int) -> None:
        own = CONTESTED + client * OWN + turn // 2 % OWN
        row = own if turn % 2 else (client + turn) % CONTESTED
        keep, reason = turn % 3 == 0, f"turn {turn} of client {client} at server {number}"
        self.asked.append(reason)
        body = {"rows": [row], "keep": keep, "reason": reason, "expect": 1, "tab": str(client)}
        told = say(server, "decide", body)
        (frame,) = told["rows"]
        assert (frame["in"], frame["person"]) == (keep, keep)
        self.answered.append(Word((number, told["version"]), frame["id"], keep, reason))


def read(server: Server, page: str) -> None:
    with urllib.request.urlopen(server.url + page, timeout=60) as answer:
        answer.read()


def opened_all_the_while(path: Path, stop: threading.Event) -> list[int]:
    """How many words the file of decisions held, each time that it was opened."""
    lengths = []
    while not stop.is_set():
        lengths.append(len(read_words(path)))
    return lengths


def check_saved(dataset: Path, clients: Clients) -> None:
    """The file holds what was answered, in that order, and of what was not at most each word once."""
    answered = sorted(clients.answered)
    unanswered = set(clients.asked) - {word.reason for word in answered}
    rows = [(row["item"], row["keep"], row["reason"]) for row in by_people(dataset)]
    assert [row for row in rows if row[2] not in unanswered] == [word[1:] for word in answered]
    assert len(rows) == len(set(rows))
    last = {item: reason for item, _, reason in rows}
    counts = state(dataset)
    assert {item: counts[item].reason for item in last} == last


def check_shown(dataset: Path, server: Server, frames: int) -> None:
    """The page shows of each frame what the file says."""
    rows = ",".join(map(str, range(frames)))
    shown = {frame["id"]: frame for frame in ask(server, f"api/rows?rows={rows}")}
    counts = {item: word for item, word in state(dataset).items() if item in shown}
    assert len(shown) == frames == len(counts)
    assert {item: frame["in"] for item, frame in shown.items()} == {
        item: word.keep for item, word in counts.items()
    }
    assert all(shown[item]["reason"] == word.reason for item, word in counts.items() if not word.keep)


def all_done(work: list[Future[None]]) -> Callable[[], bool]:
    return lambda: all(each.done() for each in work)


@pytest.mark.parametrize(
    ("count", "turns"), [(8, 20), pytest.param(50, 200, marks=pytest.mark.soak)], ids=["8", "50"]
)
def test_what_was_answered_stays_said(count, turns, tmp_path):
    clients = Clients(count)
    film = numbered_film(tmp_path / "film.mp4", clients.frames)
    dataset = tmp_path / "dataset"
    extract([str(film)], dataset, ExtractOptions(every=1, crop_size=64, crops_per_frame=1), workers=1)
    stop = threading.Event()
    with ThreadPoolExecutor(count + 1) as pool:
        lengths = pool.submit(opened_all_the_while, dataset / NAME, stop)
        try:
            with serving(dataset) as server:
                work = clients.begin(pool, server, 1, turns)
                done = all_done(work)
                until(lambda: done() or len(clients.answered) >= count * turns // 2, server.process)
                clients.killed.set()
                server.kill()
                for each in work:
                    each.result()
            check_saved(dataset, clients)
            clients.killed.clear()
            with serving(dataset) as server:
                check_shown(dataset, server, clients.frames)
                before, started = len(clients.answered), time.perf_counter()
                for each in clients.begin(pool, server, 2, turns // 2):
                    each.result()
                seconds = time.perf_counter() - started
                check_shown(dataset, server, clients.frames)
                server.process.send_signal(signal.SIGTERM)
                server.process.wait(timeout=60)
        finally:
            stop.set()
    check_saved(dataset, clients)
    assert len(clients.answered) - before == count * (turns // 2)
    assert lengths.result() == sorted(lengths.result())
    run(["framekit.cli", "verify", str(dataset)])
    print(
        f"{count} clients: {len(clients.answered):,} words, {count * (turns // 2) / seconds:.0f} a second; "
        f"the file was opened {len(lengths.result()):,} times"
    )
