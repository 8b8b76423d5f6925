"""The commands score and compare."""

from pathlib import Path
from typing import Annotated

import typer

from metrics.common.errors import UserError, user_errors
from metrics.measures.commands import StanzaModels

app = typer.Typer(rich_help_panel="Reports")

Captions = Annotated[
    list[Path],
    typer.Argument(
        help="captions.jsonl of each system, side by side; or COCO results, CSV, TSV, XLSX or Parquet with columns of "
        "ids and captions."
    ),
]
References = Annotated[
    Path | None,
    typer.Option(
        help="File of references, which defines the items, in any of these formats or as COCO annotations. Default: "
        "the records' own."
    ),
]
Names = Annotated[list[str] | None, typer.Option("--measure", help="One to compute, such as CIDEr. Default: all.")]
Classifier = Annotated[Path | None, typer.Option(help="Folder of a category classifier, for Acc.")]
Clusters = Annotated[
    str,
    typer.Option(
        help="What joins items that intervals and p-values must not take for independent: any of these, or item."
    ),
]
Clip = Annotated[str | None, typer.Option(help="CLIP or SigLIP, a Hub id or a folder, for CLIPScore, on the photos.")]
Images = Annotated[
    Path | None,
    typer.Option(help="Folder that photos are relative to. Default: the run's catalogue, if it was used here."),
]
Vocabulary = Annotated[Path | None, typer.Option(help="File of an attribute vocabulary, for MAP and MAR.")]

Training = Annotated[
    list[Path] | None,
    typer.Option(help="References that the systems were trained on (references-train.jsonl), to find copies of them."),
]


def _names(clusters: str) -> list[str]:
    return [name.strip() for name in clusters.split(",")]


@app.command()
@user_errors()
def score(
    captions: Captions,
    out: Annotated[
        Path,
        typer.Option(help="Folder for report.html, report.md, report.json, items.jsonl and scored-references.jsonl."),
    ],
    references: References = None,
    measure: Names = None,
    classifier: Classifier = None,
    vocabulary: Vocabulary = None,
    stanza: StanzaModels = "en",
    clip: Clip = None,
    images: Images = None,
    clusters: Clusters = "product,reference,photo",
    training: Training = None,
) -> None:
    """Score captions and write the report."""
    from metrics.reports.score_files import score_files
    from metrics.scoring.registry import choose_measures

    measures = choose_measures(measure or (), classifier, vocabulary, stanza, clip, images)
    score_files(captions, out, measures, references, _names(clusters), training or (), images)


@app.command()
@user_errors()
def compare(
    captions: Captions,
    out: Annotated[Path, typer.Option(help="Folder for comparison.json, .md, .tex, .html and .csv.")],
    references: References = None,
    measure: Names = None,
    classifier: Classifier = None,
    vocabulary: Vocabulary = None,
    stanza: StanzaModels = "en",
    clip: Clip = None,
    images: Images = None,
    published: Annotated[
        str | None, typer.Option(help="hm or facad: the paper's rows for that catalogue next to ours.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="The system that all others are tested against. Default: the last.")
    ] = None,
    clusters: Clusters = "product,reference,photo",
    training: Training = None,
) -> None:
    """Compare systems as the paper's tables do: intervals, significance, improvement by fine-tuning."""
    if images is not None and clip is None:  # unlike the report, a comparison shows no photos
        raise UserError(f"--images {images}: of a comparison, only CLIPScore looks at the photos; also give --clip")

    from metrics.reports.score_files import compare_files
    from metrics.scoring.registry import choose_measures

    measures = choose_measures(measure or (), classifier, vocabulary, stanza, clip, images)
    compare_files(captions, out, measures, references, published, against, _names(clusters), training or ())
