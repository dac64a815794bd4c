"""Photos for the demo, from a package: scikit-image's free pictures (NASA's, and CC0)."""

from __future__ import annotations

from pathlib import Path

from framekit.errors import FramekitError

GROUPS = {
    "people": ("astronaut.png",),
    "animals": ("chelsea.png",),
    "things": ("coffee.png", "rocket.jpg"),
}
"""Group → files in scikit-image's data folder; their sources and licences are in its README."""


def lay_out_photos(folder: Path) -> None:
    """Copy the photos into `folder/<group>/`.

    Raises:
        FramekitError: scikit-image is not installed, or holds other pictures than it did.
    """
    try:
        import skimage
    except ImportError:
        advice = "pip install -e '.[demo]', or give photos of your own in the recipe"
        raise FramekitError(
            "the demo's photos come with scikit-image, which is missing", advice=advice
        ) from None
    data = Path(skimage.__file__).parent / "data"
    for group, names in GROUPS.items():
        (folder / group).mkdir(parents=True, exist_ok=True)
        for name in names:
            if not (data / name).exists():
                advice = "give photos of your own in the recipe"
                raise FramekitError("this scikit-image does not hold the picture", where=name, advice=advice)
            (folder / group / name).write_bytes((data / name).read_bytes())
