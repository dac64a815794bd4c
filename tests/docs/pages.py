"""The pages of the documentation, their blocks, and the commands in them."""

from __future__ import annotations

import re
from pathlib import Path

import click

import cartoongan.cli
import framekit.cli
import pipelines.__main__

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
PROGRAMS: dict[str, click.Group] = {
    "framekit": framekit.cli.main,
    "cartoongan": cartoongan.cli.main,
    "cartoon-pipeline": pipelines.__main__.main,
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_name(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


def blocks(*languages: str) -> list[tuple[str, str]]:
    """(page, text) of every fenced block in one of `languages`."""
    return [
        (page_name(page), text)
        for page in PAGES
        for language, text in FENCE.findall(page.read_text(encoding="utf-8"))
        if language in languages
    ]


def command_lines() -> list[tuple[str, str]]:
    """(page, line) of every command, with continued lines joined."""
    return [
        (page, line.removeprefix("$ "))
        for page, text in blocks("bash", "console")
        for line in text.replace("\\\n", " ").splitlines()
        if line.strip() and not line.startswith("#")
    ]
