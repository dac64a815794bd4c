"""Presets: each a complete set of the options in which published CartoonGANs differ. No torch."""

from __future__ import annotations

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


def preset_lines() -> list[str]:
    """What each preset is and sets, for `--help`: all of the first, and how the others differ from it."""
    first, *others = PRESETS
    lines = [f"{first}: {SOURCES[first]}", _listed(PRESETS[first])]
    for name in others:
        different = {k: v for k, v in PRESETS[name].items() if v != PRESETS[first][k]}
        lines += [f"{name}: {SOURCES[name]}; as {first}, but", _listed(different)]
    return lines


def _listed(values: dict[str, Any]) -> str:
    flags = (
        f"--{name.replace('_', '-')} {_shown(value)}"
        for name, value in values.items()
        if value not in (None, ())
    )
    return "  " + "  ".join(flags)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
