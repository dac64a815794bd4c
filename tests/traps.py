"""What must never be unpickled."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Trap:
    """Unpickled, it leaves a folder behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)
