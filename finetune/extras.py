"""What to install where a command's packages are missing."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
EXTRA_OF = {"bitsandbytes": "gpu", "wandb": "track", "stanza": "measures"}


def needs_train(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Turn a missing package into one line that names the extra to install; exit code 2."""

    @wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("finetune", "metrics"):
                raise
            extra = EXTRA_OF.get(str(error.name), "train")
            print(
                f"error: {error.name} is missing; install it by: pip install '.[{extra}]' in Lookbook's folder",
                file=sys.stderr,
            )
            raise SystemExit(2) from None

    return wrapped
