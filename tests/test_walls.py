"""The walls between the rooms: who may import whom, and what a help text may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("framekit", "cartoongan", "pipelines")

ROOMS = {
    # room: the rooms of framekit that it may import
    "errors": set(),
    "storage": {"errors"},
    "files": {"errors", "storage"},
    "validating": {"errors"},
    "pages": set(),
    "terminal": {"errors", "storage", "validating"},
    "images": {"errors"},
    "sources": {"errors", "storage"},
    "options": {"errors", "images", "sources"},
    "manifest": {"errors", "storage", "files", "validating", "terminal", "images"},
    "extraction": {
        "errors",
        "storage",
        "files",
        "validating",
        "terminal",
        "images",
        "options",
        "sources",
        "manifest",
    },
    "audit": {
        "errors",
        "storage",
        "files",
        "validating",
        "terminal",
        "images",
        "options",
        "sources",
        "manifest",
        "extraction",
    },
    "review": {"errors", "storage", "files", "validating", "terminal", "images", "manifest"},
    "doctor": set(),
    "cli": {
        "errors",
        "validating",
        "terminal",
        "options",
        "sources",
        "manifest",
        "extraction",
        "audit",
        "review",
        "doctor",
    },
}
FROM_FRAMEKIT = {
    "cartoongan": {"manifest", "errors", "files", "validating", "pages", "terminal"},
    "pipelines": set(ROOMS) - {"cli"},
}
VIDEOS = ROOT / "cartoongan" / "videos.py"
"""The one module of cartoongan that knows films."""
ONE_MORE = {"cartoongan/measures.py": "framekit.images.artefacts"}
"""Where one module more is reached: noise is one measure, of datasets and of cartoons."""


def imports_of(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def rooms_of(names: set[str]) -> set[str]:
    known = set(ROOMS)
    return {
        parts[1] for name in names if (parts := name.split("."))[0] == "framekit" and len(parts) > 1
    } & known


@pytest.mark.parametrize("path", modules("framekit"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_of_framekit_imports_only_rooms_below_it(path):
    names = imports_of(path)
    tops = {name.split(".")[0] for name in names}
    assert not tops & {"torch", "lightning", "cartoongan", "pipelines"}
    parts = path.relative_to(ROOT / "framekit").with_suffix("").parts
    room = parts[0]
    if room in ROOMS:
        assert rooms_of(names) <= ROOMS[room] | {room}


def test_the_rooms_have_an_order():
    order = list(ROOMS)
    for room, below in ROOMS.items():
        assert all(order.index(other) < order.index(room) for other in below)


def test_every_room_of_framekit_is_on_the_list():
    found = {path.relative_to(ROOT / "framekit").with_suffix("").parts[0] for path in modules("framekit")}
    assert found - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("package", FROM_FRAMEKIT)
def test_cartoongan_and_pipelines_reach_framekit_through_its_open_doors(package):
    for path in modules(package):
        more = ONE_MORE.get(path.relative_to(ROOT).as_posix(), "nothing")
        names = {name for name in imports_of(path) if name != more and not name.startswith(f"{more}.")}
        films = {"sources"} if path == VIDEOS else set()
        assert rooms_of(names) <= FROM_FRAMEKIT[package] | films, path


def test_cartoongan_does_not_know_films_or_pipelines():
    for path in modules("cartoongan"):
        tops = {name.split(".")[0] for name in imports_of(path)}
        allowed = {"av"} if path == VIDEOS else set()
        assert not tops & {"av", "imagehash", "pipelines"} - allowed, path


def test_the_module_that_knows_films_imports_them_only_when_it_is_used():
    program = (
        "import sys, cartoongan.videos\n"
        "assert not [name for name in sys.modules if name == 'av' or name.startswith('framekit.sources')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


HEAVY = ("torch", "av", "cv2", "pyarrow", "numpy", "imagehash", "albumentations", "PIL", "scenedetect")


@pytest.mark.parametrize("module", ["framekit.cli", "cartoongan.cli", "pipelines.__main__"])
@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_loads_nothing_heavy(module, words):
    program = (
        f"import sys\nfrom {module} import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as end:\n    assert end.code in (0, None), end.code\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\nassert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
