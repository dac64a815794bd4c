"""Presets: each a complete set of the options in which published CartoonGANs differ. No torch."""

from __future__ import annotations

import textwrap
from types import MappingProxyType
from typing import Any, Literal

Preset = Literal["paper", "authors", "report"]

_PAPER = MappingProxyType(
    {
        "adversarial": "bce",
        "norm": "batch",
        "padding": "zero",
        "batch_size": 8,
        "crop_size": 256,
        "lr": 2e-4,  # the paper gives none
        "lr_init": None,
        "lr_milestones": (),
        "init_epochs": 10,
        "init_decay_epochs": 0,
        "epochs": 100,
        "decay_epochs": 0,
        "fake_pool": 0,
        "omega": 10.0,
    }
)

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {**_PAPER},
    "authors": {
        **_PAPER,
        "adversarial": "lsgan",
        "norm": "instance-affine",
        "padding": "reflect",
        "lr": 1e-5,
        "lr_init": 2e-4,
        "init_decay_epochs": 10,
        "decay_epochs": 100,
        "fake_pool": 50,
    },
    "report": {**_PAPER, "norm": "instance", "lr_milestones": (50, 75)},
}
"""Option values by preset and option."""

SOURCES: dict[str, str] = {
    "paper": "Chen et al., CVPR 2018",
    "authors": "the code that its authors released",
    "report": "the course report that this project grew from",
}


def preset_lines(width: int = 76) -> list[str]:
    """What each preset is and sets, for `--help`: all of the first, and how the others differ from it."""
    first, *others = PRESETS
    lines = [f"{first}: {SOURCES[first]}", *_flags(PRESETS[first], width)]
    for name in others:
        different = {key: value for key, value in PRESETS[name].items() if value != PRESETS[first][key]}
        lines += [f"{name}: {SOURCES[name]}; as {first}, but", *_flags(different, width)]
    return lines


def _flags(values: dict[str, Any], width: int) -> list[str]:
    """The flags that say `values`, in lines; a flag stays with its value."""
    words = []
    for name, value in values.items():
        flag = "--" + name.replace("_", "-")
        words += [f"{flag}\0{one}" for one in (value if isinstance(value, tuple) else (value,))]
    text = " ".join(word for word in words if not word.endswith("\0None"))
    lines = textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]
