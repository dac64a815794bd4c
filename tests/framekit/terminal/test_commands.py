import pickle

import click
import pytest
from click.testing import CliRunner

from framekit.errors import CommandError, FramekitError, printable
from framekit.terminal.commands import Program, print_json

ENDINGS = {
    "done": None,
    "failed": FramekitError("no such thing", where="a.mkv", advice="look elsewhere"),
    "wrong": CommandError("wrong option"),
    "bug": ZeroDivisionError("division by zero"),
    "stop": KeyboardInterrupt(),
    "stop-how": KeyboardInterrupt("go on with --resume"),
    "disk": OSError(28, "No space left on device", "out.parquet"),
    "memory": MemoryError("8 GB"),
    "not-installed": ModuleNotFoundError("No module named 'torch'", name="torch"),
    "own-module-missing": ModuleNotFoundError("No module named 'framekit.x'", name="framekit.x"),
}


@click.group(cls=Program, extra="train")
def program():
    pass


@program.command()
@click.argument("ending")
def end(ending):
    if ENDINGS[ending] is not None:
        raise ENDINGS[ending]


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        ("done", 0, ""),
        ("failed", 1, "error: a.mkv: no such thing. look elsewhere\n"),
        ("wrong", 2, "error: wrong option\n"),
        ("bug", 1, "ZeroDivisionError"),
        ("stop", 130, "Run the same command again"),
        ("stop-how", 130, "go on with --resume"),
        ("disk", 1, "error: out.parquet: No space left on device\n"),
        ("memory", 1, "out of memory"),
        ("not-installed", 1, "torch is not installed. pip install 'cartoon-framekit[train]' brings it\n"),
        ("own-module-missing", 1, "a fault in this program"),
    ],
)
def test_endings(ending, code, words):
    done = CliRunner().invoke(program, ["end", ending])
    assert done.exit_code == code
    assert words in done.stderr
    assert done.stdout == ""
    assert done.stderr.strip().count("\n") == 0
    assert "Traceback" not in done.stderr


def test_a_traceback_is_shown_with_debug():
    done = CliRunner().invoke(program, ["end", "bug", "--debug"])
    assert "Traceback" in done.stderr and "ZeroDivisionError" in done.stderr
    again = CliRunner().invoke(program, ["end", "bug"])
    assert "Traceback" not in again.stderr


def test_json_never_holds_nan(capsys):
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"x": float("nan")})
    print_json({"name": "é\n"})
    assert capsys.readouterr().out == '{"name": "\\u00e9\\n"}\n'


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("right\u202eleft", "right\\u202eleft"),
        ("caf\udce9", "caf\\udce9"),
        ("彼女と彼女の猫", "彼女と彼女の猫"),
    ],
)
def test_names_from_strangers_stay_on_one_line(name, shown):
    assert printable(name) == shown
    assert str(FramekitError("bad", where=name)) == f"{shown}: bad"


def test_errors_travel_between_processes_whole():
    error = pickle.loads(pickle.dumps(CommandError("what", where="where", advice="do")))
    assert isinstance(error, CommandError)
    assert str(error) == "where: what. do"
