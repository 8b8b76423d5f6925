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
    return template_environment(package, filters).get_template(template).render(view)


def template_environment(package: str, filters: Mapping[str, Callable[..., Any]] | None = None) -> Environment:
    """The templates of `package`, as `render` fills them, for who fills one often."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, "metrics"))]),
        autoescape=select_autoescape(["html.j2", "svg.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({**FILTERS, **(filters or {})})
    return environment
