"""Command line: `python -m metrics COMMAND`."""

from pathlib import Path
from typing import Annotated

import typer

from metrics.common.errors import user_errors
from metrics.measures.category.settings import classifier_settings
from metrics.reports.score_files import compare_files, score_files
from metrics.scoring.registry import choose_measures

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Captions = Annotated[list[Path], typer.Argument(help="captions.jsonl of each system, side by side.")]
References = Annotated[
    Path | None, typer.Option(help="File of references; it says which items there are. Default: the records' own.")
]
Names = Annotated[list[str] | None, typer.Option("--measure", help="One to compute, such as CIDEr. Default: all.")]
Classifier = Annotated[Path | None, typer.Option(help="Folder of a category classifier, for Acc.")]
Vocabulary = Annotated[Path | None, typer.Option(help="File of an attribute vocabulary, for MAP and MAR.")]
StanzaModels = Annotated[str, typer.Option("--stanza", help="Stanza's language, or a folder of its models.")]


@app.callback()
def main() -> None:
    """Measure captions: BLEU, METEOR, ROUGE-L, CIDEr, SPICE, category accuracy, attribute precision and recall."""


@app.command()
@user_errors()
def score(
    captions: Captions,
    out: Annotated[Path, typer.Option(help="Folder for report.html, report.md, report.json and items.jsonl.")],
    references: References = None,
    measure: Names = None,
    classifier: Classifier = None,
    vocabulary: Vocabulary = None,
    stanza: StanzaModels = "en",
) -> None:
    """Score captions and write the report."""
    score_files(captions, out, choose_measures(measure or (), classifier, vocabulary, stanza), references)


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
    published: Annotated[
        str | None, typer.Option(help="hm or facad: the paper's rows of that catalogue beside ours.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="The system that all others are tested against. Default: the last.")
    ] = None,
) -> None:
    """Compare systems as the paper's tables do: intervals, significance, improvement by fine-tuning."""
    measures = choose_measures(measure or (), classifier, vocabulary, stanza)
    compare_files(captions, out, measures, references, published, against)


@app.command("train-classifier")
@user_errors()
def train_category_classifier(
    train: Annotated[Path, typer.Argument(help="references-train.jsonl; its records have a category.")],
    validation: Annotated[Path, typer.Option(help="references-validation.jsonl; says which epoch is kept.")],
    out: Annotated[Path, typer.Option(help="Folder for the classifier; an interrupted training there goes on.")],
    test: Annotated[Path | None, typer.Option(help="references-test.jsonl, to tell how good it is.")] = None,
    base: Annotated[str | None, typer.Option(help="Encoder, Hub id or folder. Default: bert-base-uncased.")] = None,
    tiny: Annotated[bool, typer.Option("--tiny", help="A tiny BERT made on the spot, as base.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Default: 15; tiny: 5.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: 1e-5; tiny: 2e-3.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default: 64; tiny: 32.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Before the linear head. Default: 0.5; tiny: 0.1.")] = None,
    seed: Annotated[int | None, typer.Option(help="Default: 42.")] = None,
) -> None:
    """Train the category classifier behind the measure Acc."""
    from metrics.measures.category.classifier import read_record, train_classifier

    given = {"base": base, "epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size}
    given |= {"dropout": dropout, "seed": seed}
    settings = classifier_settings(tiny, **{name: value for name, value in given.items() if value is not None})
    record = read_record(train_classifier(train, validation, out, settings, test)) or {}
    print(f"validation accuracy: {max(record['validation_accuracy']):.1%} (epoch {record['best_epoch']})")
    for name, value in record.get("test_accuracy", {}).items():
        print(f"test accuracy, {name}: {value:.1%}")
    for name, count in record["cut"].items():
        if count:
            print(f"captions of {name} longer than the model reads, cut: {count:,}")
    print(f"classifier: {out}")


@app.command()
@user_errors()
def attributes(
    out: Annotated[Path, typer.Option(help="The vocabulary's file, JSON.")],
    captions: Annotated[
        Path | None, typer.Argument(help="References of the training split (references-train.jsonl).")
    ] = None,
    stanza: Annotated[str, typer.Option(help="en, or a folder of Stanza models.")] = "en",
    minimum: Annotated[int, typer.Option(min=1, help="How often a word must stand in the training captions.")] = 10,
    given: Annotated[
        Path | None, typer.Option("--list", help="A given list of attributes instead, a word a line or a JSON list.")
    ] = None,
) -> None:
    """Make the vocabulary of attributes that precision and recall (MAP, MAR) are measured by."""
    from metrics.measures.attributes.make_vocabulary import make_vocabulary

    print(make_vocabulary(captions, given, stanza, minimum, out))


@app.command()
@user_errors()
def install_spice(
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder with the four jars, where there is no network.")
    ] = None,
) -> None:
    """Bring what SPICE needs: Stanford CoreNLP 3.6.0 (387 MB, GPL v3 or later) and a JavaScript engine (MPL 2.0)."""
    from metrics.measures.spice.install import install

    install(source)


@app.command()
@user_errors()
def bench(
    full: Annotated[bool, typer.Option("--full", help="A whole catalogue; takes half an hour.")] = False,
    stanza: StanzaModels = "en",
) -> None:
    """Compare time, memory and values with those of the official scorers."""
    from metrics.bench.table import print_bench

    print_bench(full, stanza)


if __name__ == "__main__":
    app(prog_name="python -m metrics")
