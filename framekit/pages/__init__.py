"""HTML pages: one file each that needs no other and runs no script, light or dark as its reader likes it.

Templates begin with `{% extends "page.html" %}`, which has the head and the colours.
"""

from __future__ import annotations

from typing import Any


def render(package: str, template: str, **values: Any) -> str:
    """A page, of a template in the folder `templates` of a package.

    Names of films, folders, groups and reasons come from strangers: everything is escaped.

    Args:
        package: As in `pipelines`.
        template: Name of its file.
        values: What it shows; one that it asks for and is not there is an error.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(__name__)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
