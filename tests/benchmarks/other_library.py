"""imagededup, to compare with where it is installed: itself by `--no-deps`, scikit-learn and matplotlib."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any


def imagededup_hasher() -> Any | None:
    """imagededup's own PHash, or None where it is not installed.

    Its packages import torchvision for the networks that it offers as well. So they are entered here without
    their `__init__`, and only the modules that hash are run.
    """
    found = importlib.util.find_spec("imagededup")
    if found is None or not found.submodule_search_locations:
        return None
    root = Path(found.submodule_search_locations[0])
    for name in ("methods", "utils"):
        package = types.ModuleType(f"imagededup.{name}")
        package.__path__ = [str(root / name)]
        sys.modules[package.__name__] = package
    from imagededup.methods.hashing import PHash

    return PHash(verbose=False)
