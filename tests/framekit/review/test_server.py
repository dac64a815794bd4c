"""`framekit review` as a program: its end, its killing, datasets in which there is little to see."""

import json
import os
import signal
import socket
import threading
import urllib.request

import pytest
from click.testing import CliRunner

import framekit.manifest
from framekit.cli import main
from framekit.manifest import decide
from framekit.manifest.decisions import by_people
from tests.framekit.review.serving import serving, serving_here
from tests.framekit.review.sparse import SPARSE

pytest.importorskip("starlette", reason="framekit[review] is not installed")


def ask(server, name):
    with urllib.request.urlopen(server.url + name, timeout=60) as answer:
        return json.load(answer)


def say(server, name, body):
    origin = server.url[: server.url.index("/", 8)]
    headers = {"Content-Type": "application/json", "Origin": origin}
    request = urllib.request.Request(server.url + "api/" + name, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_only_this_machine_reaches_it(dataset):
    with serving_here(dataset) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        own = socket.gethostbyname(socket.gethostname())
        if not own.startswith("127."):
            with pytest.raises(OSError):
                socket.create_connection((own, port), timeout=5)
        assert ask(server, "api/dataset")["frames"] == 36


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_with_a_summary_while_tabs_wait(dataset, stop):
    with serving(dataset) as server:
        say(server, "decide", {"rows": [1], "keep": False, "reason": "logo", "expect": 1})
        waiting = threading.Thread(target=lambda: ask(server, "api/changes?since=2&wait=25"))
        waiting.start()
        server.process.send_signal(stop)
        said = server.process.communicate(timeout=60)[0]
        waiting.join(timeout=60)
        assert not waiting.is_alive()
    assert server.process.returncode == 0
    assert "36 frames are in; 1 by a person's word" in said
    assert "next: framekit audit" in said
    info = framekit.manifest.open(dataset).info
    assert info.totals["frames_kept"] == info.totals["frames_sampled"] - sum(info.dropped.values())
    assert info.dropped["logo"] == 1


CLIENTS = 50


def in_threads(count, work):
    """Run `work(0)` to `work(count - 1)` at the same time."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_fifty_clients_and_another_program_lose_no_word(dataset):
    ids = framekit.manifest.open(dataset).frames(["frame_id"])["frame_id"].to_pylist()
    with serving_here(dataset) as server:

        def one(number):
            for reason in ("first", "second"):
                body = {"rows": [number % 36], "keep": False, "reason": f"{reason} of {number}", "expect": 1}
                say(server, "decide", body | {"tab": str(number)})

        threads = in_threads(CLIENTS, one)
        for id_ in ids[:5]:
            decide(dataset, [id_], keep=True, reason="another program's", by="bob")
        for thread in threads:
            thread.join()
        assert ask(server, "api/dataset")["version"] >= 2 * CLIENTS
    said = [row["reason"] for row in by_people(dataset)]
    wanted = [f"{reason} of {number}" for number in range(CLIENTS) for reason in ("first", "second")]
    assert sorted(said) == sorted([*wanted, *["another program's"] * 5])
    assert all(
        said.index(f"first of {number}") < said.index(f"second of {number}") for number in range(CLIENTS)
    )


def test_killed_while_it_saves_it_has_lost_no_word_that_it_answered(dataset):
    answered = []
    with serving(dataset) as server:

        def until_it_dies(number):
            for turn in range(1_000):
                body = {"rows": [number], "keep": False, "reason": f"{turn} of {number}", "expect": 1}
                try:
                    say(server, "decide", body)
                except OSError:
                    return
                answered.append(body["reason"])
                if len(answered) == 60:
                    server.process.send_signal(signal.SIGKILL)

        for thread in in_threads(4, until_it_dies):
            thread.join()
        server.process.wait()
    saved = [row["reason"] for row in by_people(dataset)]
    assert set(answered) <= set(saved)
    assert len(set(saved)) == len(saved) <= len(answered) + 4
    with serving_here(dataset) as server:  # no lock is left
        assert say(server, "decide", {"rows": [1], "keep": True, "expect": 1})["items"] == 1


def test_words_in_a_file_of_their_own_and_back_into_the_dataset(dataset, tmp_path):
    apart = tmp_path / "mine.parquet"
    with serving(dataset, options=("--decisions", str(apart))) as server:
        say(server, "decide", {"rows": [1], "keep": False, "reason": "logo", "expect": 1})
        server.process.send_signal(signal.SIGINT)
        said = server.process.communicate(timeout=60)[0]
    assert f"next: framekit decide {dataset} --from {apart}" in said
    assert by_people(dataset) == []
    for count in (1, 0):
        done = run("decide", dataset, "--from", apart)
        assert done.stdout == f"{count:,} words put down\n"
    assert len(by_people(dataset)) == 1


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_what_cannot_be_reviewed_is_said_in_a_line(dataset, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = refused("review", dataset, "--port", taken.getsockname()[1])
        assert (said.exit_code, "cannot be had" in said.stderr) == (2, True)
    said = refused("review", tmp_path / "nothing")
    assert (said.exit_code, "no dataset here" in said.stderr) == (2, True)
    (dataset / "decisions.parquet").write_bytes(b"PAR1 noise PAR1")
    said = refused("review", dataset)
    assert (said.exit_code, "decisions.parquet: cannot be read" in said.stderr) == (1, True)
    (dataset / "decisions.parquet").unlink()
    assert "decisions.parquet: is missing" in refused("review", dataset).stderr
    info = (dataset / "dataset.json").read_text()
    (dataset / "dataset.json").write_text(info.replace('"schema_version": 2', '"schema_version": 3'))
    assert "schema version 3" in refused("review", dataset).stderr


def refused(*words):
    """The end of a command that is to say what is wrong in one line, and perhaps in another what to do."""
    done = run(*words)
    assert len(done.stderr.splitlines()) <= 2, done.stderr
    return done


@pytest.mark.parametrize("make", SPARSE, ids=lambda make: make.__name__)
def test_datasets_in_which_there_is_little_to_see_open(tmp_path, make):
    frames = SPARSE[make]
    with serving_here(make(tmp_path / "dataset")) as server:
        assert ask(server, "api/dataset")["frames"] == frames
        for row in range(frames):
            assert ask(server, f"api/frame/{row}")["row"] == row
            with urllib.request.urlopen(f"{server.url}thumb/{row}", timeout=60) as answer:
                assert (answer.status, answer.read()) == (204, b"")
        if frames:
            body = {"rows": [0], "keep": False, "reason": "", "expect": 1}
            assert say(server, "decide", body)["items"] == 1


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_read_only(dataset):
    for path in (dataset, dataset / "decisions.parquet"):
        path.chmod(0o555)
    try:
        with serving(dataset) as server:
            assert "read-only" in ask(server, "api/dataset")["saving"]["problem"]
    finally:
        dataset.chmod(0o755)
