"""The docs say what is true: commands parse, links lead somewhere, tables list what the code has."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from cartoongan.options import EvaluateOptions, StylizeOptions, TrainOptions
from framekit.manifest import schema
from framekit.options import ExtractOptions
from pipelines.recipe import load_recipe
from tests.docs.pages import FENCE, PAGES, PROGRAMS, ROOT, blocks, command_lines, page_name

OTHER_PROGRAMS = {"make", "pip", "git", "tensorboard"}
OPTIONS = {
    "framekit extract": ExtractOptions,
    "cartoongan train": TrainOptions,
    "cartoongan stylize": StylizeOptions,
    "cartoongan evaluate": EvaluateOptions,
}
COMMANDS = {
    f"{program} {name}": command
    for program, group in PROGRAMS.items()
    for name, command in group.commands.items()
}
LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
MARKED_TABLE = re.compile(r"<!-- (flags|columns): ([\w -]+?) -->\n\n((?:\|.*\n)+)")
CODE_NAME = re.compile(r"`((?:framekit|cartoongan|pipelines)(?:\.\w+)+)`")


def marked_tables(kind: str) -> dict[str, list[list[str]]]:
    """Rows of cells of every table under a `<!-- kind: name -->` mark."""
    found = {}
    for page in PAGES:
        for mark, name, table in MARKED_TABLE.findall(page.read_text(encoding="utf-8")):
            rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
            if mark == kind:
                found[name] = rows[2:]
    return found


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_command_lines_parse(page, line):
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    program, *arguments = words
    if program in OTHER_PROGRAMS:
        return
    name, command, rest = PROGRAMS[program].resolve_command(click.Context(PROGRAMS[program]), arguments)
    context = command.make_context(name, rest)
    model = OPTIONS.get(f"{program} {name}")
    if model:
        given = {field: context.params[field] for field in model.model_fields}
        filled = model.model_validate({field: value for field, value in given.items() if value is not None})
        assert set(model.model_fields) == set(dict(filled))
    assert command.name == name, page


@pytest.mark.parametrize(("page", "line"), [found for found in command_lines() if "make " in found[1]])
def test_make_targets_exist(page, line):
    target = shlex.split(line, comments=True)[-1]
    assert f"\n{target}: " in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_all_commands_are_shown():
    shown = {" ".join(shlex.split(line, comments=True)[:2]) for _, line in command_lines()}
    assert shown >= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_flag_tables_are_the_commands(name):
    rows = marked_tables("flags")[name]
    flags = [set(re.findall(r"--[\w-]+", row[0])) for row in rows]
    options = [p for p in COMMANDS[name].params if isinstance(p, click.Option) and "--help" not in p.opts]
    assert sorted(map(sorted, flags)) == sorted(sorted(o.opts + o.secondary_opts) for o in options)


@pytest.mark.parametrize("name", OPTIONS)
def test_flag_tables_give_the_defaults(name):
    said = {
        row[0].split("`")[1].removeprefix("--").replace("-", "_"): row[1]
        for row in marked_tables("flags")[name]
    }
    for field, info in OPTIONS[name].model_fields.items():
        assert said[field] == shown(info.default), field


def shown(default: object) -> str:
    """A default as tables write it."""
    if isinstance(default, bool):
        return "on" if default else "off"
    return "" if default in (None, ()) else str(default)


@pytest.mark.parametrize("table", ["FRAMES", "PAIRS", "DECISIONS", "SPLITS", "SCENES"])
def test_column_tables_are_the_schema(table):
    columns = getattr(schema, table)
    said = [(re.findall(r"`(\w+)`", row[0]), row[1]) for row in marked_tables("columns")[table]]
    assert sorted(name for names, _ in said for name in names) == sorted(columns.names)
    for names, kind in said:
        if kind in ("", "picture", "timestamp"):
            continue
        assert [str(columns.field(name).type) for name in names] == [kind]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_relative_links_and_images_exist(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.is_file(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def test_all_pictures_are_used_and_small():
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [p.name for p in pictures if f"images/{p.name})" not in text] == []
    assert max(p.stat().st_size for p in pictures) <= 400_000
    assert sum(p.stat().st_size for p in pictures) <= 2_000_000


@pytest.mark.parametrize(("page", "text"), blocks("toml"))
def test_recipes_are_valid(page, text, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text, encoding="utf-8")
    assert load_recipe(recipe).cartoons.sources, page


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_names_in_the_code_exist(page):
    for name in CODE_NAME.findall(page.read_text(encoding="utf-8")):
        assert exists(name), name


def test_rooms_are_the_files():
    """The listings on the architecture page name every module, and nothing that is not there."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for package in ("framekit", "cartoongan", "pipelines"):
        listing = next(block for language, block in FENCE.findall(text) if block.startswith(f"{package}/\n"))
        said = set(re.findall(r"\b\w+\.(?:py|toml)\b", listing))
        files = {p.name for suffix in ("py", "toml") for p in (ROOT / package).rglob(f"*.{suffix}")}
        assert said == files - {"__init__.py", "__main__.py"}


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or defined at the top of one or in a class there."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file():
                return ".".join(parts[length:]) in {"", *defined(file)}
    return False


@cache
def defined(file: Path) -> frozenset[str]:
    return frozenset(names_in(ast.parse(file.read_text(encoding="utf-8")).body))


def names_in(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from names_in(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ImportFrom):
            yield from (prefix + (alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_nobody_is_sent_to_the_other_framekit(page):
    """On PyPI that name is another project's; ours is cartoon-framekit."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(pip3?|uv|pipx|conda)\s+(\w+\s+)*(install|add)\s+[^\n]*(?<![\w-])framekit\b", text)


def test_the_site_builds_strictly(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the docs extra: pip install -e '.[docs]'")
    pytest.importorskip("material", reason="needs the docs extra: pip install -e '.[docs]'")
    import subprocess
    import sys

    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "architecture" / "index.html").is_file()
    every_command = (tmp_path / "site" / "commands" / "index.html").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"Usage: {name} [OPTIONS]" in every_command
