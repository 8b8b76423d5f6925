"""The command `embed`, as it was asked. Nothing here imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.data.feature_files import STORED
from finetune.embedding.shard import Shard
from finetune.embedding.texts import DESCRIPTION, TextChoice
from metrics.common.errors import UserError
from metrics.common.files import check_folder

_SAID_BY_PARTS = {
    **{f"--{name}": name for name in ("encoder", "text", "captions", "fill", "shard", "resolution", "pooling")},
    **{f"--{name}": name for name in ("dtype", "catalogue", "limit")},
    "--set": "change",
}


@dataclass(frozen=True)
class EmbedRequest:
    """The arguments of the command line."""

    places: Sequence[Path]
    out: Path
    encoder: str
    resolution: int | None
    pooling: str | None
    text: str
    captions: Path | None
    fill: bool
    pca: int | None
    dtype: str | None
    batch_size: int | None
    shard: str | None
    join: bool
    catalogue: str | None
    limit: int | None = None
    change: Sequence[str] = ()

    @property
    def choice(self) -> TextChoice:
        """Which text."""
        return TextChoice(self.text or DESCRIPTION, self.captions, self.fill)

    @property
    def chooses_text(self) -> bool:
        """Whether a text was asked for, so that an encoder of both reads texts."""
        return bool(self.text or self.captions or self.fill)


def check(request: EmbedRequest) -> None:
    """Raise `UserError` if the request lacks something, contradicts itself or names a file that is missing."""
    if request.dtype is not None and request.dtype not in STORED:
        raise UserError(f"--dtype {request.dtype}: expected one of {', '.join(STORED)}")
    Shard.parse(request.shard)
    check_folder(request.out.absolute().parent)
    if request.join:
        given = [option for option, name in _SAID_BY_PARTS.items() if getattr(request, name)]
        if given:
            raise UserError(f"{given[0]}: the parts that --join is given say that; leave it out")
        return
    if not request.encoder:
        raise UserError("--encoder is missing: such as efficientnet-lite0, or a Hub id or folder of a model")
    if len(request.places) > 1:
        raise UserError(f"{request.places[1]}: expected one catalogue; parts of a store are put together with --join")
    if request.pca and request.shard:
        raise UserError("--pca: is fitted on all items; leave it out here, and give it with --join")
    request.choice.check()
