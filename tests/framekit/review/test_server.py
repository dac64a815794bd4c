"""`framekit review` as a program: its end, its killing, datasets in which there is little to see."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

import framekit.manifest
from framekit.files import write_text
from framekit.manifest.decisions import by_people
from framekit.manifest.schema import FRAMES, PAIRS
from tests.framekit.manifest.datasets import dataset as plain_dataset
from tests.framekit.manifest.datasets import written
from tests.framekit.review.serving import COMMAND, serving

pytest.importorskip("starlette", reason="framekit[review] is not installed")


def ask(server, name):
    with urllib.request.urlopen(server.url + name, timeout=20) as answer:
        return json.load(answer)


def say(server, name, body):
    origin = server.url[: server.url.index("/", 8)]
    headers = {"Content-Type": "application/json", "Origin": origin}
    request = urllib.request.Request(server.url + "api/" + name, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_only_this_machine_reaches_it(dataset):
    with serving(dataset) as server:
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
        said = server.process.communicate(timeout=20)[0]
        waiting.join(timeout=20)
        assert not waiting.is_alive()
    assert server.process.returncode == 0
    assert "36 frames are in; 1 by a person's word" in said
    assert "next: framekit audit" in said
    info = framekit.manifest.open(dataset).info
    assert info.totals["frames_kept"] == info.totals["frames_sampled"] - sum(info.dropped.values())
    assert info.dropped["logo"] == 1


def test_killed_it_has_lost_no_word(dataset):
    with serving(dataset) as server:
        for row in range(5):
            say(server, "decide", {"rows": [row], "keep": False, "reason": "logo", "expect": 1})
        server.kill()
    assert len(by_people(dataset)) == 5
    with serving(dataset) as server:
        assert ask(server, "api/dataset")["mine"] == 5


def test_words_in_a_file_of_their_own_and_back_into_the_dataset(dataset, tmp_path):
    apart = tmp_path / "mine.parquet"
    with serving(dataset, options=("--decisions", str(apart))) as server:
        say(server, "decide", {"rows": [1], "keep": False, "reason": "logo", "expect": 1})
        server.process.send_signal(signal.SIGINT)
        said = server.process.communicate(timeout=20)[0]
    assert f"next: framekit decide {dataset} --from {apart}" in said
    assert by_people(dataset) == []
    for count in (1, 0):
        command = [sys.executable, "-m", "framekit.cli", "decide", str(dataset), "--from", str(apart)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"{count:,} words put down\n"
    assert len(by_people(dataset)) == 1


def test_a_port_that_is_taken_and_a_dataset_that_is_not_there(dataset, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run(str(dataset), "--port", str(taken.getsockname()[1]))
    assert (done.returncode, "cannot be had" in done.stderr) == (2, True)
    done = run(str(tmp_path / "nothing"))
    assert (done.returncode, "no dataset here" in done.stderr) == (2, True)


def run(*words):
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, timeout=60)


def empty(root):
    plain_dataset(root, 0, sources=())
    return root


def without_pairs(root):
    shards = [
        written(
            root,
            "frames/film-0000000a-0000.parquet",
            FRAMES,
            [{"frame_id": "film-0000000a:0", "source": "film-0000000a"}],
        )
    ]
    return as_dataset(root, shards)


def without_thumbnails_or_numbers(root):
    rows = [
        {"frame_id": f"film-0000000a:{number}", "source": "film-0000000a", "brightness": float("nan")}
        for number in range(3)
    ]
    pairs = [
        {"pair_id": f"film-0000000a:{number}#0", "frame_id": f"film-0000000a:{number}"} for number in range(5)
    ]
    shards = [
        written(root, "frames/film-0000000a-0000.parquet", FRAMES, rows),
        written(root, "pairs/film-0000000a-0000.parquet", PAIRS, pairs),
    ]
    return as_dataset(root, shards)


def as_dataset(root, shards):
    plain_dataset(root, 0, sources=())
    info = framekit.manifest.open(root).info
    info.shards = shards
    write_text(root / "dataset.json", info.model_dump_json())
    return root


@pytest.mark.parametrize(
    ("make", "frames"),
    [(empty, 0), (without_pairs, 1), (without_thumbnails_or_numbers, 3)],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_datasets_in_which_there_is_little_to_see_open(tmp_path, make, frames):
    with serving(make(tmp_path / "dataset")) as server:
        assert ask(server, "api/dataset")["frames"] == frames
        for row in range(frames):
            assert ask(server, f"api/frame/{row}")["row"] == row
            with pytest.raises(urllib.error.HTTPError, match="404"):
                ask(server, f"thumb/{row}")
        if frames:
            assert (
                say(server, "decide", {"rows": [0], "keep": False, "reason": "", "expect": 1})["items"] == 1
            )


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_read_only(dataset):
    for path in (dataset, dataset / "decisions.parquet"):
        path.chmod(0o555)
    try:
        with serving(dataset) as server:
            assert "read-only" in ask(server, "api/dataset")["saving"]["problem"]
    finally:
        dataset.chmod(0o755)
