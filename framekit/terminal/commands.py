"""How a command ends: 0 done, 1 something failed and is listed, 2 the command was wrong, 130 interrupted."""

from __future__ import annotations

import json
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from framekit.errors import FramekitError, printable, reason_of


class Program(click.Group):
    """A group of commands that ends every error in one line on standard error.

    A traceback is shown only with `--debug`, which every command takes. A command that raises
    `KeyboardInterrupt("…")` says with it how to go on.

    Args:
        extra: The extra of the distribution that brings what the program needs and is not there.
    """

    debug = False

    def __init__(self, *rest: Any, extra: str = "all", **more: Any) -> None:
        super().__init__(*rest, **more)
        self.extra = extra

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Register `cmd`, giving it the `--debug` flag."""
        cmd.params.append(self._debug_flag())
        super().add_command(cmd, name)

    def _debug_flag(self) -> click.Option:
        def remember(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
            self.debug = self.debug or value

        return click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=remember,
            help="Show tracebacks of errors.",
        )

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> NoReturn:
        """Run the command line and exit with the code that the conventions give."""
        self.debug = False
        more["standalone_mode"] = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _stop)  # ends as Ctrl-C does: workers stopped, one line
        sys.exit(self._exit_code(args, *rest, **more))

    def _exit_code(self, args: Sequence[str] | None, *rest: Any, **more: Any) -> int:
        try:
            code = super().main(args, *rest, **more)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except (KeyboardInterrupt, click.Abort) as stop:
            how = str(stop.__cause__ or stop)  # click wraps KeyboardInterrupt
            say(how or "stopped. Run the same command again to go on from here.")
            return 130
        except BrokenPipeError:  # `framekit … | head` is no error
            sys.stderr.close()
            return 0
        except Exception as error:
            self._report(error)
            return error.exit_code if isinstance(error, FramekitError) else 1
        return code if isinstance(code, int) else 0

    def _report(self, error: Exception) -> None:
        if self.debug:
            traceback.print_exc()
        say(f"error: {self._one_line(error)}")

    def _one_line(self, error: Exception) -> str:
        if isinstance(error, FramekitError):
            return str(error)
        if isinstance(error, MemoryError):
            return f"out of memory ({printable(error)}). Use fewer workers or a smaller batch"
        if isinstance(error, ModuleNotFoundError) and not _is_ours(error.name or ""):
            return f"{error.name} is not installed. pip install 'cartoon-framekit[{self.extra}]' brings it"
        if isinstance(error, OSError):
            return f"{printable(error.filename or 'system')}: {printable(reason_of(error))}"
        kind = type(error).__name__
        return f"a fault in this program: {kind}: {printable(error)}. Run again with --debug and report it"


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _is_ours(module: str) -> bool:
    """Whether a module belongs to one of our packages."""
    return module.split(".", maxsplit=1)[0] in ("framekit", "cartoongan", "pipelines")


def say(line: str) -> None:
    """Print one line for the person at the terminal, on standard error."""
    click.echo(line, err=True)


def print_json(value: object) -> None:
    """Print one JSON object on standard output: keys sorted, never NaN."""
    click.echo(json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=True))
