"""Whether a dataset takes decisions."""

from __future__ import annotations

import os
from pathlib import Path

from framekit.errors import FramekitError
from framekit.manifest.decisions import LOCK, NAME, LockedError, locked
from framekit.storage.paths import is_remote


def problem_of(root: Path) -> str | None:
    """Why decisions cannot be saved in the dataset in folder `root`; None where they can."""
    if not is_remote(root):
        places = [root, *(path for name in (NAME, LOCK) if (path := root / name).exists())]
        shut = [path for path in places if not os.access(path, os.W_OK)]
        return f"the dataset is read-only: {shut[0]} cannot be written" if shut else None
    try:
        with locked(root, patience=1):
            return None
    except LockedError:
        return None
    except (FramekitError, OSError) as error:
        return f"the dataset is read-only: {error}"
