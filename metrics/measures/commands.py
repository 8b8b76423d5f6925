"""The commands that prepare measures: train-classifier, attributes, install-spice."""

from pathlib import Path
from typing import Annotated

import typer

from metrics.common.errors import user_errors
from metrics.common.formatting import printable
from metrics.common.ownership import Overwrite

app = typer.Typer(rich_help_panel="Measures")

StanzaModels = Annotated[str, typer.Option("--stanza", help="Stanza's language, or a folder of its models.")]


@app.command()
@user_errors()
def train_classifier(
    train: Annotated[Path, typer.Argument(help="references-train.jsonl; its records have a category.")],
    validation: Annotated[Path, typer.Option(help="references-validation.jsonl, on which the best epoch is chosen.")],
    out: Annotated[Path, typer.Option(help="Folder for the classifier; an interrupted training there is resumed.")],
    test: Annotated[Path | None, typer.Option(help="references-test.jsonl, to report the accuracy on.")] = None,
    base: Annotated[str | None, typer.Option(help="Encoder, Hub id or folder. Default: bert-base-uncased.")] = None,
    tiny: Annotated[bool, typer.Option("--tiny", help="A tiny BERT, created on the spot, as base.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Default: 15; tiny: 5.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: 1e-5; tiny: 2e-3.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default: 64; tiny: 32.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Before the linear head. Default: 0.5; tiny: 0.1.")] = None,
    seed: Annotated[int | None, typer.Option(help="Default: 42.")] = None,
) -> None:
    """Train the category classifier behind the measure Acc."""
    from metrics.measures.category import classifier
    from metrics.measures.category.settings import classifier_settings

    options = {"base": base, "epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size}
    options |= {"dropout": dropout, "seed": seed}
    settings = classifier_settings(tiny, **{name: value for name, value in options.items() if value is not None})
    record = classifier.read_record(classifier.train_classifier(train, validation, out, settings, test)) or {}
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
    minimum: Annotated[int, typer.Option(min=1, help="How often a word must occur in the training captions.")] = 10,
    given: Annotated[
        Path | None, typer.Option("--list", help="A given list of attributes instead, a word a line or a JSON list.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make the vocabulary of attributes that precision and recall (MAP, MAR) are measured by."""
    from metrics.measures.attributes.make_vocabulary import make_vocabulary

    print(printable(make_vocabulary(captions, given, stanza, minimum, out, overwrite)))


@app.command()
@user_errors()
def install_spice(
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder with the four jars, for a machine without network.")
    ] = None,
) -> None:
    """Install what SPICE needs: Stanford CoreNLP 3.6.0 (387 MB, GPL v3 or later) and a JavaScript engine (MPL 2.0)."""
    from metrics.measures.spice.install import install

    install(source)
