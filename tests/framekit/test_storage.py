import errno
import io
import os
import pickle
import random
import threading
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from framekit.errors import CommandError, FramekitError, reason_of
from framekit.files import clear_unfinished, fingerprint_of, remove_folder, sha256_of, whole_file, write_text
from framekit.storage import locks, patience
from framekit.storage.locks import LockedError, locked
from framekit.storage.paths import RemotePath, is_address, is_remote, only_here, path_of, sizes_in
from framekit.storage.patience import RemoteError, patiently
from framekit.storage.ranges import RangeFile


@pytest.fixture(autouse=True)
def _empty_memory():
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    patience._given_up.clear()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", 0.0)
    monkeypatch.setattr(patience, "LESS", 0.0)


def test_a_local_path_stays_one():
    assert path_of("films/a b.mkv") == Path("films/a b.mkv")
    assert path_of("file:///films/a.mkv") == Path("/films/a.mkv")
    assert not is_remote(path_of("a:b")) and not is_address("a:/b") and not is_address("C:/b")


def test_an_address_has_the_parts_of_a_path():
    path = path_of("s3://bucket/films/One Film.v2.mkv")
    assert (str(path), path.name, path.stem, path.suffix) == (
        "s3://bucket/films/One Film.v2.mkv",
        "One Film.v2.mkv",
        "One Film.v2",
        ".mkv",
    )
    assert str(path.parent) == "s3://bucket/films" and path.parent / path.name == path
    assert path.with_name("b.mkv") == path_of("s3://bucket/films/b.mkv")
    assert str(path_of("s3://bucket/films/")) == "s3://bucket/films"
    assert str(path_of("s3://bucket").parent) == "s3://bucket"
    assert path_of("https://host/My%20Film.mkv").name == "My Film.mkv"
    assert pickle.loads(pickle.dumps(path)) == path


def test_what_must_stay_secret_is_never_shown_but_used():
    path = path_of("https://ada:pass@host/a.mkv?X-Amz-Signature=abc#x")
    assert str(path) == "https://host/a.mkv"
    assert "abc" not in repr(path) and "pass" not in repr(path)
    assert path.key == "https://ada:pass@host/a.mkv?X-Amz-Signature=abc#x"
    with pytest.raises(CommandError, match="a password in it") as error:
        path_of("s3://key:secret@bucket/a")
    assert "secret" not in str(error.value)
    line = "403 of 'https://ada:pass@host/a?X-Amz-Signature=abc', and more"
    assert patience.said_of(OSError(line)) == "403 of 'https://host/a', and more"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nowhere://a/b", "addresses of the kind nowhere:// are not known"),
        ("s3://", "an address without a place in it"),
        ("https://", "an address without a place in it"),
        ("zip://film.mkv::https://ada:pass@host/a.zip", "an address within another is not taken"),
        ("reference://film.mkv::https://host/table.json", "an address within another is not taken"),
        ("reference://film.mkv", "is no address of a file"),
        ("dir://films", "is no address of a file"),
    ],
)
def test_an_address_of_which_nothing_can_come_is_refused(text, says):
    with pytest.raises(CommandError, match=says) as error:
        path_of(text)
    assert "pass" not in str(error.value)


def test_a_package_that_is_missing_is_named_by_its_extra(monkeypatch):
    import fsspec.core

    def missing(*_, **__):
        raise ImportError("Please install gcsfs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(CommandError, match=r"pip install 'cartoon-framekit\[gs\]' brings it"):
        path_of("gs://bucket/a")


def test_files_and_folders_in_a_store():
    root = path_of("memory://films")
    assert not root.exists() and list(root.glob("*/*.mkv")) == []
    for name in ("a/1.mkv", "a/2.txt", "b/.3.mkv", "4.mkv"):
        (root / name).write_bytes(name.encode())
    assert root.is_dir() and not root.is_file() and (root / "4.mkv").is_file()
    assert [path.name for path in root.iterdir()] == ["4.mkv", "a", "b"]
    assert root.names_below() == ["4.mkv", "a/1.mkv", "a/2.txt", "b/.3.mkv"]
    assert [str(path) for path in root.glob("*/*.mkv")] == [
        "memory://films/a/1.mkv",
        "memory://films/b/.3.mkv",
    ]
    assert path_of("memory://films/*/?.mkv").matching() == {root / "a/1.mkv": False}
    assert (root / "4.mkv").read_text() == "4.mkv" and (root / "4.mkv").stat().st_size == 5
    with pytest.raises(FileNotFoundError, match="memory://films/5"):
        (root / "5").read_bytes()
    (root / "5").unlink(missing_ok=True)
    with pytest.raises(FileExistsError):
        (root / "4.mkv").create(b"")
    remove_folder(root / "a")
    assert root.names_below() == ["4.mkv", "b/.3.mkv"]


def test_only_memory_is_for_one_process():
    assert only_here("memory://a") and only_here(path_of("memory://a"))
    assert not only_here("s3://a") and not only_here(Path("memory"))


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
@pytest.mark.parametrize("ahead", [1, 8])
def test_a_file_read_in_ranges_is_the_file(block, ahead, monkeypatch):
    monkeypatch.setattr("framekit.storage.ranges.KEPT", 5 * block)
    monkeypatch.setattr("framekit.storage.ranges.MOST", 3 * block)
    content = random.Random(1).randbytes(997)
    path = path_of("memory://a")
    path.write_bytes(content)
    chance, whole = random.Random(block + ahead), io.BytesIO(content)
    part = RangeFile(path, block=block, ahead=ahead)
    for _ in range(300):
        if chance.random() < 0.4:
            whence = chance.randrange(3)
            offset = {0: chance.randrange(1100), 1: chance.randrange(50), 2: -chance.randrange(900)}[whence]
            assert part.seek(offset, whence) == whole.seek(offset, whence)
        size = chance.choice([0, 1, 10, 300, -1])
        assert part.read(size) == whole.read(size)
        assert part.tell() == whole.tell()
        assert len(part._blocks) <= 5
    with pytest.raises(ValueError, match="no byte stands at -1"):
        part.seek(-1)


def test_reading_on_and_on_takes_few_requests_and_a_jump_takes_one_block(monkeypatch):
    path = path_of("memory://a")
    path.write_bytes(bytes(1000))
    asked = []
    read_range = RemotePath.read_range

    def noted(self, start, stop):
        asked.append((start, stop))
        return read_range(self, start, stop)

    monkeypatch.setattr(RemotePath, "read_range", noted)
    file = RangeFile(path, block=10, ahead=8)
    while file.read(10):
        pass
    assert [stop - start for start, stop in asked[:5]] == [10, 20, 40, 80, 80]
    assert file.fetched == 1000
    file = RangeFile(path, block=10, ahead=8)
    asked.clear()
    file.seek(-15, io.SEEK_END)
    file.read(1)
    assert asked == [(980, 990)] and file.fetched == 10


class Refused(Exception):
    status = 403


class CutShort(Exception):
    """As aiohttp raises it: its cause has a status that no server sent."""


def test_what_passes_is_tried_again(monkeypatch):
    monkeypatch.setattr(patience.time, "sleep", lambda _: None)
    faults = [ConnectionResetError("reset"), OSError(5, "internal error"), TimeoutError(), CutShort()]
    faults[-1].__cause__ = Refused()

    def call():
        if faults:
            raise faults.pop()
        return "here"

    assert patiently(call, "s3://a/b") == "here"


@pytest.mark.parametrize(
    ("fault", "raised", "says"),
    [
        (FileNotFoundError("x"), FileNotFoundError, "s3://a/b"),
        (FileExistsError("x"), FileExistsError, "x"),
        (PermissionError("x"), RemoteError, "it refuses access"),
        (Refused("https://ada:pass@host"), RemoteError, "it refuses access"),
        (NotImplementedError(), RemoteError, "cannot be done with such an address"),
    ],
)
def test_what_does_not_pass_is_said_at_once(fault, raised, says):
    calls = []

    def call():
        calls.append(1)
        raise fault

    with pytest.raises(raised, match=says) as error:
        patiently(call, "s3://a/b")
    assert calls == [1] and "pass" not in str(error.value)


def test_a_web_server_that_is_gone_is_not_taken_for_a_file_that_is_not_there(impatient):
    def call():
        try:
            raise ConnectionRefusedError("refused")
        except ConnectionRefusedError as error:
            raise FileNotFoundError("https://a/b") from error

    with pytest.raises(RemoteError, match=r"cannot be reached .*\(refused\)"):
        patiently(call, "https://a/b")


def test_a_server_without_ranges_is_not_taken_for_another_file(monkeypatch):
    path = path_of("memory://a")
    path.write_bytes(bytes(100))
    monkeypatch.setattr(MemoryFileSystem, "cat_file", lambda *_, **__: bytes(100))
    with pytest.raises(RemoteError, match="whole files only"):
        path.read_range(10, 20)


def test_bytes_that_are_missing_are_not_taken_for_the_end(impatient, monkeypatch):
    path = path_of("memory://a")
    path.write_bytes(bytes(100))
    monkeypatch.setattr(MemoryFileSystem, "cat_file", lambda *_, **__: bytes(5))
    with pytest.raises(RemoteError, match="5 bytes came where 10 were asked for"):
        path.read_range(10, 20)


def test_a_file_appears_in_a_store_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = path_of("memory://a/b.bin")
    with pytest.raises(OSError, match="full"), whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise OSError("full")
    assert not path.exists()
    with whole_file(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole" and not list(tmp_path.iterdir())
    write_text(path, "text")
    clear_unfinished(path.parent)
    assert path.read_text() == "text"


def test_two_writers_of_one_file_are_not_in_each_others_way(tmp_path):
    with whole_file(tmp_path / "a") as one, whole_file(tmp_path / "a") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one" and len(list(tmp_path.iterdir())) == 1


def test_an_error_of_the_disk_names_the_file_that_was_to_be_and_others_stay(tmp_path):
    full, elsewhere = OSError(errno.ENOSPC, "full"), FileNotFoundError(errno.ENOENT, "gone", "film.mkv")
    for error, named in ((full, str(tmp_path / "a")), (elsewhere, "film.mkv"), (ValueError("b"), None)):
        with pytest.raises(type(error)) as raised, whole_file(tmp_path / "a"):
            raise error
        assert getattr(raised.value, "filename", None) == named
    assert list(tmp_path.iterdir()) == []
    assert reason_of(OSError(errno.ENOSPC, "Arrow: [errno 28] and so on")) == os.strerror(errno.ENOSPC)
    assert reason_of(OSError(-1094995529, "of FFmpeg's own")) == "of FFmpeg's own"


def test_sizes_of_the_files_in_a_folder(tmp_path):
    for folder in (tmp_path, path_of("memory://sizes")):
        assert sizes_in(folder / "nothing") == {}
        for name, size in {"a.b": 3, "c": 0, "d/e": 5}.items():
            if not is_remote(folder):
                (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(bytes(size))
        assert sizes_in(folder) == {"a.b": 3, "c": 0}


@pytest.mark.parametrize("size", [0, 10, 3 << 20, (3 << 20) + 1, 10 << 20])
def test_fingerprints_and_digests_are_those_of_the_same_local_file(size, tmp_path):
    local, remote = tmp_path / "a", path_of("memory://a")
    local.write_bytes(os.urandom(size))
    remote.write_bytes(local.read_bytes())
    assert fingerprint_of(remote) == fingerprint_of(local)
    assert sha256_of(remote) == sha256_of(local)


@pytest.fixture
def lock(monkeypatch):
    """A lock in a store, and a clock that only its waiting moves on."""
    now = [1000.0]
    monkeypatch.setattr(locks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(locks.time, "time", lambda: now[0])
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    path = path_of("memory://a/lock")
    path.clock = now
    return path


def test_a_lock_in_a_store_is_held_once_and_given_back(lock):
    with locked(lock):
        with (
            pytest.raises(LockedError, match=r"held this lock for 3 seconds: process \d+ on"),
            locked(lock, patience=3),
        ):
            pass
        assert lock.exists()
    assert not lock.exists()
    with pytest.raises(OSError, match="full"), locked(lock):
        raise OSError("full")
    assert not lock.exists()


def test_a_lock_whose_holder_died_is_taken_over_when_it_is_forgotten(lock):
    lock.create(b'{"host": "h", "pid": 1, "time": 1000.0, "token": "other"}')
    lock.clock[0] += locks.FORGOTTEN - 10
    with pytest.raises(LockedError, match="process 1 on h"), locked(lock, patience=0):
        pass
    lock.clock[0] += 20
    with locked(lock, patience=0):
        assert b'"other"' not in lock.read_bytes()
    assert not lock.exists()


def test_a_lock_that_is_refreshed_is_not_taken_over_whatever_the_clocks_say(lock, monkeypatch):
    lock.create(b'{"host": "h", "pid": 1, "time": 0, "token": "other", "beat": 0}')

    def sleep(seconds):
        lock.clock[0] += seconds
        if lock.clock[0] < 1100:
            beat = int(lock.clock[0] // locks.REFRESHED)
            lock.write_bytes(b'{"host": "h", "pid": 1, "time": 0, "token": "other", "beat": %d}' % beat)

    monkeypatch.setattr(locks.time, "sleep", sleep)
    with locked(lock, patience=0):
        assert lock.clock[0] > 1100


def test_who_lost_its_lock_is_told(lock):
    with pytest.raises(LockedError, match="another process took over this lock"), locked(lock):
        lock.write_bytes(b'{"token": "other"}')
    assert lock.read_bytes() == b'{"token": "other"}'


def test_of_many_that_want_a_lock_at_once_each_has_it_alone(monkeypatch):
    monkeypatch.setattr(locks, "BETWEEN_LOOKS", 0.001)
    path, count = path_of("memory://a/lock"), path_of("memory://a/count")
    count.write_bytes(b"0")
    atomic = threading.Lock()  # as a store that makes what is not there in one step
    create = RemotePath.create

    def one_at_a_time(self, data):
        with atomic:
            create(self, data)

    monkeypatch.setattr(RemotePath, "create", one_at_a_time)

    def work():
        for _ in range(5):
            with locked(path):
                count.write_bytes(str(int(count.read_bytes()) + 1).encode())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_bytes() == b"20"


def test_errors_are_framekits():
    assert issubclass(RemoteError, FramekitError) and not issubclass(RemoteError, OSError)


def test_what_a_local_lock_left_is_no_lock_in_a_store(lock):
    lock.write_bytes(b"")
    with locked(lock, patience=0):
        assert lock.clock == [1000.0]
