"""Pages from Jinja templates: HTML is escaped, secrets are left out, a missing name is an error."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from metrics.common.formatting import FILTERS
from metrics.common.secrets import replaced, secrets


def render(
    template: str,
    view: Mapping[str, Any],
    package: str = "metrics",
    filters: Mapping[str, Callable[..., Any]] | None = None,
) -> str:
    """Fill a template of `package`, which may include those of `metrics`; `filters` join `formatting.FILTERS`."""
    return template_environment(package, filters).get_template(template).render(view)


def template_environment(package: str, filters: Mapping[str, Callable[..., Any]] | None = None) -> Environment:
    """The templates of `package`, as `render` fills them, for who fills one often."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, "metrics"))]),
        autoescape=select_autoescape(["html.j2", "svg.j2"]),
        undefined=StrictUndefined,
        finalize=partial(_without, secrets()),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({**FILTERS, **(filters or {})})
    return environment


def _without(known: Mapping[str, str], value: Any) -> Any:
    """Text that a page shows, with what is marked as HTML still marked; anything else as it is."""
    return type(value)(replaced(value, known)) if known and isinstance(value, str) else value
