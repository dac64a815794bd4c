"""Extraction on Ray: real nodes, all of them on this machine."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from framekit.errors import CommandError, FramekitError
from framekit.extraction import executors
from framekit.extraction.executors import Job, Outcome, executor_of
from framekit.extraction.extract import extract
from framekit.extraction.plan import LookOver, Segment, Source, Unit
from framekit.extraction.segment import OneSegmentOnly
from framekit.extraction.spent import Spent
from framekit.manifest.reading import open_manifest
from framekit.manifest.verifying import verify
from framekit.options import ExtractOptions
from tests.films import write_film
from tests.framekit.extraction.test_extract import digests
from tests.processes import until

pytest.importorskip("ray", reason="needs Ray: pip install 'cartoon-framekit[ray]'")
pytestmark = pytest.mark.xdist_group("ray")

OPTIONS = ExtractOptions(every=60, crop_size=32, crops_per_frame=2)
FLAGS = ["--every", "60", "--crop-size", "32", "--crops-per-frame", "2"]
LONG = 8_500
"""Frames that are two segments and a bit."""


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """A folder with two films of several segments."""
    folder = tmp_path_factory.mktemp("long films")
    for seed in (1, 2):
        generator = np.random.default_rng(seed)
        drawings = [generator.integers(0, 255, (6, 8, 3), np.uint8) for _ in range(LONG // 25)]
        frames = [np.kron(drawing, np.ones((8, 8, 1), np.uint8)) for drawing in drawings for _ in range(25)]
        write_film(folder / f"film{seed}.mp4", frames, options={"preset": "ultrafast", "g": "50"})
    return folder


@pytest.fixture(scope="module")
def made(films, tmp_path_factory) -> dict[str, str]:
    """What a single process makes of the films."""
    out = tmp_path_factory.mktemp("made") / "dataset"
    extract([str(films)], out, OPTIONS, workers=1)
    assert len(list(out.glob("pairs/*-of-00002.parquet"))) == 4, "two films of two segments"
    assert verify(open_manifest(out)) == []
    return content(out)


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def content(root: Path) -> dict[str, str]:
    """Digests of all files of a dataset; of dataset.json without what the run has cost."""
    info = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    info.pop("spent", None)
    files = {name: digest for name, digest in digests(root).items() if not name.endswith(".lock")}
    return files | {"dataset.json": json.dumps(info, sort_keys=True)}


def segment(name: str, root: Path = Path(), of: int = 1) -> Segment:
    return Segment(Source(f"{name}-00000000", root / f"{name}.mkv", "film", "0" * 32), 0, of)


class Odd(Job):
    """Does what a film's name says."""

    def do(self, unit: Unit, on_frames: Callable[[int], None], *, threads: int = 1) -> Spent:
        what = unit.source.path.stem
        if what == "dies":
            os._exit(1)
        if what == "hangs":
            threading.Event().wait()
        if what == "surprises":
            raise OneSegmentOnly("something else", where=unit.source.path, advice="try again")
        if what == "unpicklable":
            raise ValueError(threading.Lock())
        if what == "missing":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(unit.source.path))
        assert unit.source.path.is_absolute()
        return written(self.root, unit)


class DiesOverFirst(Job):
    """Its process dies over the first segment of film1."""

    def do(self, unit: Unit, on_frames: Callable[[int], None], *, threads: int = 1) -> list[Segment] | Spent:
        if isinstance(unit, Segment) and unit.source.path.stem == "film1" and unit.index == 0:
            os._exit(1)
        return super().do(unit, on_frames, threads=threads)


def written(root: Path, unit: Unit) -> Spent:
    """Stands for extraction: leaves files that have a segment's names."""
    for folder in ("frames", "pairs"):
        (root / folder / f"{unit.name}.parquet").touch()
    return Spent()


@pytest.fixture
def odd(tmp_path) -> Odd:
    for folder in ("frames", "pairs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dataset.json").touch()
    return Odd(OPTIONS, tmp_path)


def outcomes(job: Job, cluster, *names: str) -> dict[str, Outcome]:
    on_ray = executor_of("ray", workers=None, ray_address=cluster.address)
    ended = on_ray(deque(segment(name) for name in names), job, on_frames=lambda *_: None)
    return {outcome.unit.source.path.stem: outcome for outcome in ended}


def test_the_same_bytes_from_four_processes(films, made, tmp_path):
    extract([str(films)], tmp_path / "out", OPTIONS, workers=4)
    assert content(tmp_path / "out") == made


def test_the_same_bytes_from_two_nodes(films, made, cluster, tmp_path, monkeypatch):
    extract([str(films)], tmp_path / "out", OPTIONS, ray_address=cluster.address)
    assert content(tmp_path / "out") == made


def test_relative_paths_stay_as_they_were_given(films, cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(films)
    small = ExtractOptions(every=2_000, crop_size=32)
    extract(["film1.mp4"], tmp_path / "here", small, workers=1)
    out = Path(os.path.relpath(tmp_path / "there"))
    run = extract(["film1.mp4"], out, small, executor="ray", ray_address=cluster.address)
    assert [source.path for source in run.info.sources] == ["film1.mp4"]
    assert content(tmp_path / "there") == content(tmp_path / "here")


def test_a_film_over_which_workers_die_is_listed_and_the_rest_done(
    films, made, cluster, tmp_path, monkeypatch, capfd
):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("framekit.extraction.extract.Job", DiesOverFirst)
        run = extract([str(films)], out, OPTIONS, ray_address=cluster.address)
    (problem,) = run.problems
    assert problem.path == str(films / "film1.mp4")
    assert "a worker process died over it" in problem.what
    shards = [name for name in made if name.endswith(".parquet") and "-00000-of-00002" in name]
    missing = {name for name in shards if "film1" in name}
    assert {name for name in made if name.endswith("-of-00002.parquet")} - set(content(out)) == missing
    assert "raylet" not in "".join(capfd.readouterr())
    extract([str(films)], out, OPTIONS, workers=1)
    assert content(out) == made, "what was missing is made by the next run"


def test_errors_come_back_as_they_are(odd, cluster):
    ended = outcomes(odd, cluster, "surprises", "missing", "unpicklable", "good")
    surprise = ended["surprises"].error
    assert type(surprise) is OneSegmentOnly
    assert (surprise.what, surprise.advice) == ("something else", "try again")
    missing = ended["missing"].error
    assert type(missing) is FileNotFoundError
    assert str(missing) == "[Errno 2] No such file or directory: 'missing.mkv'"
    assert "ValueError" in str(ended["unpicklable"].error)
    assert isinstance(ended["good"].result, Spent)


def test_films_that_hang_or_kill_are_given_up_and_the_rest_is_done(odd, cluster, monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 3.0)
    ended = outcomes(odd, cluster, "hangs", "dies", "one", "two")
    assert "no progress for 3 seconds: given up" in str(ended["hangs"].error)
    assert "a worker process died over it" in str(ended["dies"].error)
    assert ended["one"].error is ended["two"].error is None


def test_a_film_that_is_not_there_is_the_same_problem_as_in_one_process(odd, cluster):
    source = Source("gone-00000000", Path("gone.mkv"), "film", "0" * 32)
    job, said = Job(OPTIONS, odd.root), []
    for options in ({"workers": 1, "ray_address": None}, {"workers": None, "ray_address": cluster.address}):
        run = executor_of(None, **options)
        (outcome,) = run(deque([LookOver(source)]), job, on_frames=lambda *_: None)
        said.append((type(outcome.error), str(outcome.error).replace(f"{Path.cwd()}/", "")))
    assert said[0] == said[1]


def test_a_node_that_does_not_see_the_dataset_ends_the_run(odd, cluster):
    (odd.root / "dataset.json").unlink()
    with pytest.raises(FramekitError, match="does not see it"):
        outcomes(odd, cluster, "one")


def test_the_same_bytes_when_a_node_dies_at_work(films, made, cluster, tmp_path):
    out, node = tmp_path / "out", next(iter(cluster.worker_nodes))
    program = [sys.executable, "-m", "framekit.cli", "extract", str(films), "--out", str(out), *FLAGS]
    running = subprocess.Popen([*program, "--ray-address", cluster.address], stderr=subprocess.PIPE)
    until(lambda: len(unfinished(out)) > 1, running)  # both nodes, with one CPU each, write a shard
    cluster.remove_node(node, allow_graceful=False)
    _, said = running.communicate(timeout=120)
    cluster.add_node(num_cpus=1)
    assert running.returncode == 0, said
    assert content(out) == made


def unfinished(out: Path) -> list[Path]:
    return list(out.glob("frames/.framekit-*"))


def test_a_ray_of_ones_own_says_nothing_and_gives_the_same_bytes(films, made, tmp_path):
    out = tmp_path / "out"
    program = [sys.executable, "-m", "framekit.cli", "extract", str(films), "--out", str(out), *FLAGS]
    done = subprocess.run(
        [*program, "--executor", "ray", "--workers", "2", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["problems"] == []
    assert [line for line in done.stderr.splitlines() if not line.startswith("extract: ")] == []
    assert content(out) == made


def test_a_stop_ends_a_ray_of_ones_own(films, made, tmp_path):
    out = tmp_path / "out"
    program = [sys.executable, "-m", "framekit.cli", "extract", str(films), "--out", str(out), *FLAGS]
    running = subprocess.Popen(
        [*program, "--executor", "ray", "--workers", "2"], stderr=subprocess.PIPE, text=True, process_group=0
    )
    until(lambda: unfinished(out), running)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.splitlines()[-1] == "stopped. Run the same command again to go on from here."
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)


@pytest.mark.parametrize("address", ["nowhere.invalid:6379", "127.0.0.1:9", "ray://127.0.0.1:9", "no"])
def test_an_address_without_a_cluster_is_said_at_once(odd, address):
    run = executor_of(None, workers=None, ray_address=address)
    with pytest.raises(CommandError, match=f"no Ray cluster at {address}: ") as caught:
        list(run(deque([segment("one")]), odd, on_frames=lambda *_: None))
    assert "\n" not in str(caught.value)


def test_nothing_to_do_starts_nothing(odd):
    run = executor_of(None, workers=None, ray_address="nowhere.invalid:6379")
    assert list(run(deque(), odd, on_frames=lambda *_: None)) == []
