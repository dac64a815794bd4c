"""What is handed out, the wheel and the sdist; and framekit in an environment that holds only the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.films import numbered_frame, write_film

ROOT = Path(__file__).parent.parent
NOT_PYTHON = (".toml", ".html", ".js", ".css", ".csv", ".svg", ".typed")
"""Files beside the code that it reads at run time."""


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the sdist."""
    pytest.importorskip("hatchling", reason="needs the dev extra: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="session")
def wheel(built) -> Path:
    (path,) = built.glob("*.whl")
    return path


def test_the_wheel_holds_the_packages_with_all_that_they_read(wheel):
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
    packages = [ROOT / name for name in ("framekit", "cartoongan", "pipelines")]
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in package.rglob("*")
        if path.suffix in (".py", *NOT_PYTHON)
    }
    assert held == wanted


def test_the_sdist_holds_tests_and_docs_and_nothing_of_this_machine(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"tests/test_wheel.py", "docs/index.md"} <= names
    folders = {"framekit", "cartoongan", "pipelines", "tests", "docs"}
    files = {"pyproject.toml", "constraints.txt", "mkdocs.yml", "hubconf.py", "Makefile"}
    papers = {"README.md", "LICENSE", "PKG-INFO", ".gitignore"}  # hatchling adds two of these
    assert {name.split("/")[0] for name in names if name} == folders | files | papers


@pytest.fixture(scope="session")
def programs(wheel, tmp_path_factory) -> Path:
    """Where the programs lie of a new environment that holds the wheel and what it depends on."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [home / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    installed = subprocess.run(
        [*pip, "--constraint", ROOT / "constraints.txt", wheel], capture_output=True, text=True, check=False
    )
    if "Temporary failure in name resolution" in installed.stderr:
        pytest.skip("there is no network to install from")
    assert installed.returncode == 0, installed.stderr
    return home / "bin"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with a film."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    write_film(tmp_path / "film.mkv", [numbered_frame(n, width=320, height=288) for n in range(120)])
    return tmp_path


COMMANDS = (
    "probe film.mkv",
    "extract film.mkv --out cartoons --every 12",
    "dedup cartoons --distance 4",
    "split cartoons --by scene --test 0.2",
    "audit cartoons",
    "verify cartoons --against-films",
    "decide cartoons --from decisions.parquet",
    "export cartoons folder --format folders",
    "export cartoons hub --format hf",
    "export cartoons tars --format webdataset",
    "compact cartoons",
    "doctor",
)


def test_all_of_framekit_works_without_torch(programs, place):
    for command in COMMANDS:
        run([programs / "framekit", *command.split()], code=0)
        if command.startswith("split"):
            shutil.copy("cartoons/decisions.parquet", place)
    reading = (
        "import framekit.manifest, sys\n"
        "pairs = list(framekit.manifest.open('cartoons'))\n"
        "assert pairs[0].image.shape == (256, 256, 3)\n"
        "assert 'torch' not in sys.modules\n"
    )
    run([programs / "python", "-c", reading], code=0)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("cartoongan train --cartoons a --photos b --out run", "train"),
        ("cartoongan stylize run photo.jpg --out cartoon.png", "train"),
        ("cartoon-pipeline run demo", "demo"),
        ("framekit review cartoons", "review"),
    ],
)
def test_what_needs_more_says_in_one_line_what_brings_it(programs, place, command, extra):
    name, *words = command.split()
    said = run([programs / name, *words], code=None).stderr.strip()
    assert said.startswith("error: ")
    assert f"pip install 'cartoon-framekit[{extra}]'" in said
    assert "\n" not in said
    assert not any(path.is_dir() for path in place.iterdir()), "nothing was begun"


@pytest.mark.parametrize(
    "words", ["framekit", "framekit review", "cartoongan", "cartoongan train", "cartoon-pipeline run"]
)
def test_help_needs_nothing_more(programs, place, words):
    name, *command = words.split()
    assert run([programs / name, *command, "--help"], code=0).stdout.startswith("Usage:")


def run(command: list[object], *, code: int | None) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, f"{words}: {done.stderr}"
    assert code is not None or done.returncode in (1, 2)
    return done
