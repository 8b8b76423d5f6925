"""Pages from Jinja templates: HTML is escaped, a missing name is an error."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from metrics.common.formatting import FILTERS


def render(
    template: str,
    view: Mapping[str, Any],
    package: str = "metrics",
    filters: Mapping[str, Callable[..., Any]] | None = None,
) -> str:
    """Fill a template of `package`, which may include those of `metrics`; `filters` join `formatting.FILTERS`."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, "metrics"))]),
        autoescape=select_autoescape(["html.j2", "svg.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({**FILTERS, **(filters or {})})
    return environment.get_template(template).render(view)
