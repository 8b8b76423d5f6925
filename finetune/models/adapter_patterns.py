"""The regular expressions of an adapter's configuration, tried with a limit before PEFT runs them without one."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from metrics.common.errors import UserError
from metrics.common.processes import child_environment

_SECONDS = 20
# Keys whose text PEFT matches as it is, a list being names; and how it matches each text of the others.
_WHOLE = ("target_modules", "exclude_modules")
_FORMS = {
    "modules_to_save": r"(^|.*\.){}($|\..*)",
    "layers_pattern": r"(?:^|.*?\.){}\.(?P<idx>\d+)\.",
    "rank_pattern": r"(.*\.)?({})$",
    "alpha_pattern": r"(.*\.)?({})$",
}
_TRY = f"""
import json, re, signal, sys
signal.alarm({_SECONDS + 1})  # however this program's parent ends
patterns, names = json.load(sys.stdin)
for pattern in patterns:
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        sys.exit(f"{{pattern!r:.200}}: {{error}}")
    for name in names:
        compiled.match(name), compiled.fullmatch(name)
"""


def refuse_slow_patterns(config: Mapping[str, Any], names: Iterable[str], source: str) -> None:
    """Raise `UserError` if matching a model's module `names` by a pattern of `config` fails, or takes too long."""
    patterns = [form.format(text) for key, form in _FORMS.items() for text in _texts(config.get(key))]
    patterns += [text for key in _WHOLE if isinstance(text := config.get(key), str)]
    if not patterns:
        return
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _TRY],
            input=json.dumps([patterns, list(names)]),
            text=True,
            capture_output=True,
            timeout=_SECONDS,
            env=child_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{source}: its patterns take more than {_SECONDS} s to match; list the modules") from error
    if done.returncode:
        raise UserError(f"{source}: no regular expression: {done.stderr.strip()[-300:]}")


def _texts(value: Any) -> list[str]:
    """A text, those of a list, or the keys of a mapping; what has another type PEFT refuses."""
    values = [value] if isinstance(value, str) else value if isinstance(value, list | dict) else ()
    return [text for text in values if isinstance(text, str)]
