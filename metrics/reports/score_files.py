"""Captions files in, a report or a comparison out, and its table on the screen: what `score` and `compare` do."""

from collections.abc import Sequence
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.ownership import claim_folder, refuse_foreign, refuse_inputs, with_inputs
from metrics.common.tables import WideTable, print_tables
from metrics.measures.base import Measure
from metrics.records.caption_sets import CaptionSet, load_systems
from metrics.records.captions import CaptionRecord, read_references
from metrics.reports.comparison import COMPARISON, check_choices, write_comparison
from metrics.reports.comparison_tables import notes_on, screen_tables
from metrics.reports.equal_baselines import equal_baselines, joined_rows
from metrics.reports.published import MEASURES
from metrics.reports.report import REPORT, write_report
from metrics.scoring.clusters import BY
from metrics.scoring.suite import Evaluation, score_systems, warnings_about


def score_files(
    captions: Sequence[Path],
    out: Path,
    measures: Sequence[Measure],
    references: Path | None = None,
    clusters: Sequence[str] = BY,
    training: Sequence[Path] = (),
    images: Path | None = None,
) -> None:
    """Score captions files side by side, write the report into `out` and print its table; clusters as `score_systems`'.

    `training` are files such as `references-train.jsonl`, in whose captions copies are looked for, `images` the
    folder that photos are relative to, by default that of the runs (`CaptionSet.photo_folder`).

    Raises:
        UserError: as `load_systems`, `score_systems` and `write_report`, when a file of `training` cannot be read or
            has no captions, when a file that is read would be replaced, and when `images` is no folder.
    """
    if images is not None and not images.is_dir():
        raise UserError(f"--images {images}: no such folder; give the one that the photos' paths start from")
    systems = load_systems(captions)
    inputs = (*captions, references, *training)
    contents = with_inputs(REPORT, out, inputs)
    refuse_inputs((out / name for name in REPORT.names), inputs)
    refuse_foreign(out, contents)
    trained_on = _captions(training)
    evaluation = score_systems(systems, _given(references), measures, clusters)
    claim_folder(out, contents)
    report = write_report(evaluation, out, trained_on, images)
    absent = [f"{measure}: {reason}" for measure, reason in evaluation.absent.items()]
    notes = [*warnings_about(evaluation), *absent, *([] if images else _not_shown(systems)), f"report: {report}"]
    print_tables(_table(evaluation), *notes)


def compare_files(
    captions: Sequence[Path],
    out: Path,
    measures: Sequence[Measure],
    references: Path | None = None,
    published: str | None = None,
    against: str | None = None,
    clusters: Sequence[str] = BY,
    training: Sequence[Path] = (),
) -> None:
    """Score captions files, write the comparison into `out` and print its tables.

    Arguments as `write_comparison`'s, `score_systems`' and `score_files`'.

    Raises:
        UserError: as `load_systems`, `score_systems` and `write_comparison`, and when a file that is read would be
            replaced.
    """
    systems = load_systems(captions)
    check_choices([system.name for system in systems], published, against)
    inputs = (*captions, references, *training)
    contents = with_inputs(COMPARISON, out, inputs)
    refuse_inputs((out / name for name in COMPARISON.names), inputs)
    refuse_foreign(out, contents)
    trained_on = _captions(training)
    evaluation = score_systems(systems, _given(references), measures, clusters)
    claim_folder(out, contents)
    comparison = write_comparison(evaluation, out, published, against, trained_on)
    notes = [*comparison["warnings"], *notes_on(comparison), f"tables: {out / 'comparison.html'}"]
    print_tables(*screen_tables(comparison), *notes)


def _not_shown(systems: Sequence[CaptionSet]) -> list[str]:
    """What to do for photos in a folder that the captions name, and may not choose."""
    named = [(one, one.run.catalogue.folder) for one in systems if one.run and one.run.catalogue.folder]
    if not named or any(one.photo_folder for one, _ in named):
        return []
    system, folder = named[0]
    return [f"photos are not shown: {system.name} names {folder}, which was not used here: give it by --images"]


def _given(references: Path | None) -> list[CaptionRecord] | None:
    return read_references(references) if references else None


def _captions(training: Sequence[Path]) -> frozenset[str] | None:
    """The training captions; None if no file is given."""
    captions: set[str] = set()
    for path in training:
        of_file = {text for record in read_references(path) for text in record.references}
        if not of_file:
            raise UserError(f'{path}: no record has "references"; give the training captions: references-train.jsonl')
        captions |= of_file
    return frozenset(captions) if training else None


def _table(evaluation: Evaluation) -> WideTable:
    """The measures that papers print; the report has all."""
    shown = [name for name in (*MEASURES, "CLIPScore", "RefCLIPScore") if name in evaluation.measures]
    table = WideTable(["slice", "n", "clusters", "system"], shown, caption="x100, as papers print them")
    systems = [{"name": result.system.name, "scores": result.scores} for result in evaluation.results]
    rows = joined_rows(systems, equal_baselines(evaluation))
    for name, places in evaluation.slices.items():
        for row in rows:
            values = [f"{row['scores'][name][measure].value * 100:.1f}" for measure in shown]
            table.add_row(name, str(len(places)), str(len(evaluation.clusters[name])), row["name"], *values)
        table.add_section()
    return table
