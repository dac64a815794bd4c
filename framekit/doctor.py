"""What this machine has of what framekit and cartoongan need: versions, codecs, a GPU, room on the disk.

Nothing heavy is imported but PyAV: what else is installed is asked for by name, so that this answers where
torch is broken, too.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from framekit import __version__

DISTRIBUTION = "cartoon-framekit"
DECODERS = ("h264", "hevc", "vp9", "av1", "libdav1d", "mpeg4", "mpeg2video", "vc1", "prores", "ffv1")
FOR_DEVELOPERS = {"dev", "docs", "demo", "all"}
"""Extras that users can do without."""
LITTLE_ROOM = 10_000_000_000
"""Bytes: a film of two hours gives some 2 GB of pairs."""
SECONDS = 10
"""For another program to answer."""


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        facts: By name, for people: a line each.
        versions: Of what is installed, by distribution.
        missing: Extras that are not whole: name → what is not installed.
        problems: What will go wrong, and what to do about it; a line each.
    """

    facts: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def examine(folder: Path) -> Findings:
    """Look at this machine.

    Args:
        folder: Where datasets are to lie; it, or the nearest folder above that is there, is asked for room.
    """
    found = Findings()
    found.facts["framekit"] = f"{__version__}, Python {platform.python_version()}, {platform.platform()}"
    found.facts["machine"] = f"{_cores()} cores for this program{_memory()}"
    _libraries(found)
    _two_opencvs(found)
    _codecs(found)
    _gpu(found)
    _room(found, folder)
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    with suppress(OSError, ValueError, AttributeError):  # not on Windows
        return f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB of memory"
    return ""


def _libraries(found: Findings) -> None:
    for extra, name in _needed():
        try:
            found.versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found.missing.setdefault(extra, []).append(name)
    if lacking := found.missing.pop("", []):
        found.problems.append(
            f"not installed: {', '.join(lacking)}. install framekit anew: pip install {DISTRIBUTION}"
        )


def _needed() -> Iterator[tuple[str, str]]:
    """(extra, distribution) of all that framekit asks for; extra "" is what it cannot do without."""
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:  # run from a folder that is not installed
        requirements = []
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)["']""", requirement)
        if name and name[0] != DISTRIBUTION and not (extra and extra[1] in FOR_DEVELOPERS):
            yield (extra[1] if extra else "", name[0])


def _two_opencvs(found: Findings) -> None:
    builds = sorted(set(importlib.metadata.packages_distributions().get("cv2", [])))
    if len(builds) > 1:
        found.problems.append(
            f"{len(builds)} builds of OpenCV in one place, which break each other: {', '.join(builds)}. "
            f"pip uninstall {' '.join(builds)}, then: pip install opencv-python-headless"
        )


def _codecs(found: Findings) -> None:
    try:
        import av
        from av.codec.hwaccel import hwdevices_available
    except Exception as error:  # a wheel for another machine, a library that is not there
        found.problems.append(f"PyAV cannot be loaded ({type(error).__name__}: {error}). pip install av")
        return
    there = [name for name in DECODERS if name in av.codecs_available]
    ffmpeg = ".".join(map(str, av.library_versions["libavcodec"]))
    found.facts["films"] = f"PyAV {av.__version__} with libavcodec {ffmpeg}: {', '.join(there)}"
    devices = hwdevices_available()
    found.facts["decoding"] = (
        f"by the CPU; --hwaccel may take {', '.join(devices)}" if devices else "by the CPU"
    )
    if lacking := {"h264", "hevc"} - set(there):
        found.problems.append(
            f"PyAV has no decoder for {', '.join(sorted(lacking))}. pip install av, a wheel"
        )


def _gpu(found: Findings) -> None:
    torch = found.versions.get("torch")
    gpus = _nvidia_gpus()
    if gpus:
        found.facts["GPU"] = "; ".join(gpus)
    elif platform.system() == "Darwin" and platform.machine() == "arm64":
        found.facts["GPU"] = "Apple's, by --device mps"
    else:
        found.facts["GPU"] = "none that NVIDIA's driver knows of: training at full size takes days on a CPU"
    if gpus and torch and torch.endswith("+cpu"):
        found.problems.append(
            f"torch {torch} is built for CPUs only and leaves the GPU unused. install one for CUDA: "
            "see pytorch.org"
        )


def _nvidia_gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    words = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=True)
        return [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return []


def _room(found: Findings, folder: Path) -> None:
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        found.problems.append(f"{there}: {error.strerror or error}")
        return
    found.facts["disk"] = f"{free / 1e9:,.0f} GB free in {there}"
    if free < LITTLE_ROOM:
        found.problems.append(f"only {free / 1e9:.1f} GB free in {there}: two hours of film take some 2 GB")
    if not os.access(there, os.W_OK):
        found.problems.append(f"{there}: cannot be written to. give another folder")
