import errno
import os
from pathlib import Path

import pytest

from framekit.errors import CommandError
from framekit.extraction.plan import make_plan
from framekit.sources.finding import find_sources


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_folders_are_searched_through_in_a_fixed_order(tmp_path):
    touch(tmp_path, "b/2.MKV", "b/1.mp4", "a/3.webm", ".hidden.mp4", ".trash/4.mp4", "notes.txt")
    found = find_sources([str(tmp_path)])
    assert [path.relative_to(tmp_path).as_posix() for path in found.films] == [
        "a/3.webm",
        "b/1.mp4",
        "b/2.MKV",
    ]
    assert found.ignored == 1


def test_a_folder_of_pictures_is_one_source(tmp_path):
    touch(tmp_path, "people/b.jpg", "people/a.PNG", "sea/c.webp")
    found = find_sources([str(tmp_path)])
    assert found.stills == {tmp_path: ["people/a.PNG", "people/b.jpg", "sea/c.webp"]}


def test_posters_beside_films_are_left_out_and_said(tmp_path):
    touch(tmp_path, "film.mkv", "poster.jpg")
    found = find_sources([str(tmp_path)])
    assert not found.stills
    assert found.left_out == {tmp_path: 1}


def test_files_and_globs(tmp_path):
    touch(tmp_path, "e1.mkv", "e2.mkv", "film.unknown", "a.png")
    assert [path.name for path in find_sources([str(tmp_path / "e*.mkv")]).films] == ["e1.mkv", "e2.mkv"]
    assert [path.name for path in find_sources([str(tmp_path / "film.unknown")]).films] == ["film.unknown"]
    assert find_sources([str(tmp_path / "a.png")]).stills == {tmp_path: ["a.png"]}


def test_a_name_with_brackets_is_a_file_first(tmp_path):
    touch(tmp_path, "[Group] film [1080p].mkv")
    assert len(find_sources([str(tmp_path / "[Group] film [1080p].mkv")]).films) == 1


def test_the_same_film_named_twice_is_taken_once(tmp_path):
    touch(tmp_path, "a.mkv")
    assert len(find_sources([str(tmp_path), str(tmp_path / "a.mkv")]).films) == 1


@pytest.mark.parametrize(
    ("make", "words"), [(None, "no such file"), ("notes.txt", "neither films nor pictures")]
)
def test_nothing_there_is_a_wrong_command(tmp_path, make, words):
    folder = tmp_path / "folder"
    if make:
        touch(folder, make)
    with pytest.raises(CommandError, match=words):
        find_sources([str(folder)])


def test_folders_that_cannot_be_looked_into_are_told(tmp_path, monkeypatch):
    touch(tmp_path, "open/1.mp4", "closed/2.mp4")
    real = os.scandir

    def scandir(path):
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_sources([str(tmp_path)])
    assert found.films == [tmp_path / "open/1.mp4"]
    assert [problem.what for problem in make_plan(found).problems if "closed" in problem.path] == [
        "Permission denied"
    ]
    with pytest.raises(CommandError, match=r"neither films .*closed cannot be read \(Permission denied\)"):
        find_sources([str(tmp_path / "closed")])
