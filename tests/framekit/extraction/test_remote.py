"""Films and datasets in a store that speaks S3: the same bytes as on a disk, whatever the network does."""

import json
import shutil
import tempfile
from pathlib import Path

import boto3
import pytest

import framekit.manifest
from framekit import cli
from framekit.errors import FramekitError
from framekit.extraction import plan
from framekit.extraction.extract import extract
from framekit.extraction.plan import film_source, segments_of
from framekit.extraction.segment import extract_segment
from framekit.extraction.settling import split
from framekit.manifest import decide, history
from framekit.manifest.schema import Split
from framekit.manifest.verifying import verify
from framekit.options import ExtractOptions
from framekit.sources.film import open_film
from framekit.storage import patience, ranges
from framekit.storage.paths import RemotePath, path_of
from framekit.storage.patience import RemoteError
from tests.films import numbered_film
from tests.stores import S3Server, filled_store

OPTIONS = ExtractOptions(every=8, crop_size=64, crops_per_frame=2)


@pytest.fixture(scope="module")
def server(films):
    with filled_store({"bucket": {f"films/{film.name}": film for film in films.iterdir()}}) as served:
        yield served


@pytest.fixture(autouse=True)
def _well(server: S3Server):
    yield
    server.rate, server.kinds = 0.0, S3Server.kinds
    patience._given_up.clear()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", 0.0)
    monkeypatch.setattr(patience, "LESS", 0.0)


@pytest.fixture(scope="module")
def local(films, tmp_path_factory):
    root = tmp_path_factory.mktemp("local") / "dataset"
    assert not extract([str(films)], root, OPTIONS, workers=1).problems
    return root


@pytest.fixture(scope="module")
def remote(server):
    root = path_of("s3://bucket/dataset")
    assert not extract(["s3://bucket/films"], root, OPTIONS, workers=2).problems
    return root


def contents(root: Path) -> dict[str, bytes]:
    """Files of a dataset that follow from films and options alone, by their paths."""
    info = framekit.manifest.open(root).info
    names = ["decisions.parquet", *(shard.path for shard in info.shards)]
    assert all(shard.bytes == (root / shard.path).stat().st_size for shard in info.shards)
    return {name: (root / name).read_bytes() for name in names}


def copied(root: Path, name: str) -> Path:
    """A copy of a dataset in the store."""
    target = path_of(f"s3://bucket/{name}")
    for file in root.rglob("*"):
        if file.is_file():
            (target / file.relative_to(root).as_posix()).write_bytes(file.read_bytes())
    return target


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    return int(end.value.code or 0)


def test_films_in_a_store_give_the_dataset_that_local_ones_give(local, remote):
    assert contents(remote) == contents(local)
    paths = [source.path for source in framekit.manifest.open(remote).info.sources]
    assert paths == ["s3://bucket/films/one.mp4", "s3://bucket/films/two.mkv"]
    assert not [name for name in remote.names_below() if name.endswith((".tmp", ".lock"))]


def test_a_second_run_finds_all_of_it_done(remote, server):
    before = len(server.requests)
    again = extract(["s3://bucket/films/*.m*"], remote, OPTIONS, workers=2)
    assert again.done_before == 2 and not again.problems
    assert "PUT" not in {method for method, path, _ in server.requests[before:] if "/pairs/" in path}


def test_a_failing_network_changes_nothing(local, server):
    server.rate = 0.1
    root = path_of("s3://bucket/through-faults")
    assert not extract(["s3://bucket/films"], root, OPTIONS, workers=2).problems
    assert contents(root) == contents(local)
    manifest = framekit.manifest.open(root)
    assert verify(manifest) == []
    assert [pair.pair_id for pair in manifest.stream(seed=3)] == [
        pair.pair_id for pair in framekit.manifest.open(local).stream(seed=3)
    ]
    assert sum(server.failed.values()) > 10


def test_reading_a_dataset_gives_the_same_pairs(local, remote):
    here, there = framekit.manifest.open(local), framekit.manifest.open(remote)
    assert there.digest == here.digest
    assert there.frames().equals(here.frames())
    for one, other in zip(there.stream(seed=1, window=2), here.stream(seed=1, window=2), strict=True):
        assert one.pair_id == other.pair_id and (one.image == other.image).all()


def test_every_command_works_on_a_dataset_in_a_store(local, capsys, tmp_path):
    root = copied(local, "worked-on")
    frame = framekit.manifest.open(local).frames(["frame_id"])["frame_id"][0].as_py()
    assert run("dedup", root, "--distance", 3) == 0
    assert run("decide", root, frame, "--drop", "--by", "ada") == 0
    assert history(root, frame)[-1].by == "ada"
    assert run("split", root, "--by", "duplicate-group", "--test", 0.3) == 0
    assert run("verify", root) == 0
    assert "no faults" in capsys.readouterr().out
    assert run("audit", root, "--json") == 0
    assert json.loads(capsys.readouterr().out)["dataset"] == "s3://bucket/worked-on"
    assert run("export", root, tmp_path / "tars", "--format", "webdataset") == 0
    assert list((tmp_path / "tars").glob("train-*.tar"))
    with root.store.fs.open(root.key + "/extra.txt", "wb") as file:
        file.write(b"somebody else's")
    assert run("dedup", root, "--distance", 6) == 0


def test_shots_are_found_in_a_film_where_its_address_says(remote):
    settled = split(remote, Split(by="scene", test=0.3))
    assert sum(settled.sides.values()) == settled.info.totals["pairs"]
    assert (remote / "scenes.parquet").exists()


def test_what_a_person_decides_stays_when_two_write_at_once(local):
    root = copied(local, "two-persons")
    ids = framekit.manifest.open(local).frames(["frame_id"])["frame_id"].to_pylist()
    decide(root, ids[:1], keep=False, reason="", by="ada")
    decide(root, ids[1:2], keep=False, reason="", by="bob")
    assert [word.by for word in history(root) if not word.by.startswith("rule:")] == ["ada", "bob"]


@pytest.fixture(scope="module")
def long_film(server, tmp_path_factory):
    film = numbered_film(tmp_path_factory.mktemp("long") / "long.mkv", 600)
    boto3.client("s3").upload_file(str(film), "bucket", "long/long.mkv")
    return film


def test_a_late_segment_reads_its_own_part_of_a_film(long_film, server, monkeypatch, tmp_path):
    monkeypatch.setattr(plan, "FRAMES_PER_SEGMENT", 100)
    monkeypatch.setattr(ranges.RangeFile.__init__, "__kwdefaults__", {"block": 1 << 12, "ahead": 4})
    size, most = long_film.stat().st_size, []
    read_range = RemotePath.read_range

    def noted(self, start, stop):
        folders = [Path(tempfile.gettempdir()), tmp_path]
        most.append(
            max((file.stat().st_size for top in folders for file in top.rglob("*long.mkv*")), default=0)
        )
        return read_range(self, start, stop)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(RemotePath, "read_range", noted)
    source = film_source(path_of("s3://bucket/long/long.mkv"), {})
    segments = segments_of(source, OPTIONS)
    assert len(segments) > 3
    before = server.fetched("long.mkv")
    extract_segment(segments[-1], OPTIONS, tmp_path)
    fetched = server.fetched("long.mkv") - before
    assert 0 < fetched < size / 4
    assert set(most) == {0}


def test_a_film_that_breaks_off_is_no_short_film(long_film, server, impatient, monkeypatch):
    monkeypatch.setattr(ranges.RangeFile.__init__, "__kwdefaults__", {"block": 1 << 12, "ahead": 1})
    film = path_of("s3://bucket/long/long.mkv")
    server.kinds = ("drop",)
    with (
        pytest.raises(RemoteError, match=r"s3://bucket/long/long.mkv: cannot be reached"),
        open_film(film) as opened,
    ):
        server.rate = 1.0
        container, stream = opened
        assert 0 < sum(1 for _ in container.demux(stream)) < 600
        raise FramekitError("what is made of it")


def test_an_upload_that_breaks_off_leaves_what_was_there(server, impatient, tmp_path):
    path = path_of("s3://bucket/once/there.bin")
    path.write_bytes(b"before")
    server.rate, server.kinds = 1.0, ("drop",)
    with pytest.raises(RemoteError, match="cannot be reached"):
        path.write_bytes(bytes(1 << 20))
    server.rate = 0.0
    assert path.read_bytes() == b"before"


def test_a_shard_that_cannot_be_read_for_now_is_not_damaged(remote, server, impatient):
    manifest = framekit.manifest.open(remote)
    server.rate, server.kinds = 1.0, ("500",)
    with pytest.raises(RemoteError, match="cannot be reached"):
        manifest.pairs()
    with pytest.raises(RemoteError, match="cannot be reached"):
        manifest.frames()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("probe", "s3://bucket/films/none.mkv"), 2, "s3://bucket/films/none.mkv: no such file or folder"),
        (("audit", "s3://bucket/none"), 2, "s3://bucket/none: no dataset here"),
        (("extract", "s3://bucket/films", "--out", "s3://nowhere/dataset"), 1, "no such bucket"),
        (("probe", "ftpx://host/film.mkv"), 2, "addresses of the kind ftpx:// are not known"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(words, code, says, capsys):
    assert run(*words) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and says in lines[0]


def test_a_server_that_is_gone_is_said_in_one_line(server, capsys, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", 1.0)
    server.rate, server.kinds = 1.0, ("drop",)
    assert run("probe", "s3://bucket/films/one.mp4") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "s3://bucket/films/one.mp4: cannot be reached" in lines[0]


def test_a_signed_address_is_read_and_its_signature_kept_from_the_dataset(server, local, tmp_path):
    client = boto3.client("s3")
    signed = client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "films/one.mp4"})
    assert "Signature=" in signed
    root = tmp_path / "dataset"
    made = extract([signed], root, OPTIONS, workers=1)
    assert not made.problems
    assert [source.path for source in made.info.sources] == [f"{server.url}/bucket/films/one.mp4"]
    there, all_of_it = contents(root), contents(local)
    assert all(all_of_it[name] == data for name, data in there.items() if name.startswith("pairs/"))
    kept = [file.read_bytes() for file in root.rglob("*") if file.is_file()]
    assert not any(b"Signature" in data or b"X-Amz" in data for data in kept)


def test_memory_is_read_and_written_in_this_process(films, local):
    for film in films.iterdir():
        path_of(f"memory://films/{film.name}").write_bytes(film.read_bytes())
    root = path_of("memory://dataset")
    assert not extract(["memory://films"], root, OPTIONS, workers=2).problems
    assert contents(root) == contents(local)


def test_pictures_in_a_store_give_the_pairs_that_local_ones_give(server, tmp_path):
    from PIL import Image

    folder = tmp_path / "photos"
    client = boto3.client("s3")
    for number, name in enumerate(("a/1.png", "a/2.png", "b/3.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((96, 80), 40 + 20 * number).convert("RGB").save(folder / name)
        client.upload_file(str(folder / name), "bucket", f"photos/{name}")
    options = ExtractOptions(crop_size=64, crops_per_frame=1, smooth=False)
    extract([str(folder)], tmp_path / "here", options, workers=1)
    extract(["s3://bucket/photos"], tmp_path / "there", options, workers=1)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    shutil.rmtree(tmp_path / "there")
