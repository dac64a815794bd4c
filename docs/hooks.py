"""What MkDocs does while it builds: the page of commands is written by the commands themselves.

`mkdocs.yml` names this file. See https://www.mkdocs.org/user-guide/configuration/#hooks.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

import click

PROGRAMS = ("framekit", "cartoongan", "cartoon-pipeline")
WIDTH = 80
"""Columns of a help text."""


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page of commands, with the help of each below what is written there."""
    return "\n".join([markdown, *commands()]) if page.file.src_uri == "commands.md" else markdown


def commands() -> Iterator[str]:
    """Markdown: a heading and a help text for every program and for every command of it."""
    for name in PROGRAMS:
        (program,) = entry_points(group="console_scripts", name=name)
        group: click.Group = program.load()
        context = click.Context(group, info_name=name, terminal_width=WIDTH, **group.context_settings)
        yield section(f"## {name}", group, context)
        for word, command in sorted(group.commands.items()):
            below = click.Context(command, info_name=word, parent=context)
            yield section(f"### {name} {word}", command, below)


def section(heading: str, command: click.Command, context: click.Context) -> str:
    """A heading, and what the command's --help says."""
    return f"{heading}\n\n```text\n{command.get_help(context)}\n```\n"
