"""The tables of `rank.json`, as sections of a page."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from metrics.common.formatting import duration, percent
from recommend.common.page import Bar, PageBars, PageSection, PageTable
from recommend.experiments.measured import ALL
from recommend.ranker.content import Content, Entry
from recommend.ranker.published import IMPORTANCES, MEASURE, SCORES, VARIANCE
from recommend.ranker.recipe import with_or_without
from recommend.ranker.rows import WITH_HISTORY, WITHOUT_HISTORY

SHOWN = ".5f"
SLICES = (ALL, WITH_HISTORY, WITHOUT_HISTORY)
FURTHER = ("nDCG@12", "MAP@12", "recall@12", "hit@12")
BARS = 12
NOTE = (
    "Means over customers, below them 95% bootstrap intervals. Differences are of the same customers; p by "
    "randomisation, corrected by Holm for all rows that are compared with the same one. They say how much the "
    "customers matter, not how much the days of training do. Without customers.csv, all customers without a history "
    "get one and the same list: a single lucky article in it moves them all. The arm of random numbers shows how far "
    "an arm moves that means nothing."
)


def sections(content: Content) -> list[PageSection]:
    """All sections of the page."""
    finished = [one for one in content["rows"] if one["result"]]
    answer = content["sentence"] or "The arms that tell are not finished."
    means = PageSection("Means and differences", NOTE, [*_means(content, finished)])
    return [
        PageSection("Did captions help?", answer, [_periods(content)]),
        means,
        _published(content),
        PageSection("Further measures", "", [_further(finished)]),
        PageSection("What each row had", _went_in(content), [_facts(content, finished)]),
        *_importances(content, finished),
    ]


def _periods(content: Content) -> PageTable:
    head = ["Period", "days", "customers", "with a history", "candidates", "articles", "bought", "among the candidates"]
    recipe = content["recipe"]
    named = [(f"training {number}", days) for number, days in enumerate(recipe["train"], 1)]
    named.append(("test", recipe["test"]))
    rows = []
    for (name, days), counts in zip(named, [*content["train"], content["test"]], strict=True):
        dates = f"{' to '.join(days['history'])}\nthen {' to '.join(days['labels'])}"
        shown = [f"{counts[key]:,}" for key in ("customers", "with_history", "candidates", "articles", "labels")]
        rows.append([name, dates, *shown, percent(counts["reachable"] / counts["labels"])])
    return PageTable(head, rows, "No ranker can find what is not among its candidates")


def _groups(rows: Sequence[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """The rows by ranker, with and without the bestseller rank."""
    for (ranker, rank), group in groupby(rows, key=lambda one: (one["ranker"], one["bestseller_rank"])):
        yield ("without training" if ranker is None else f"{ranker}, {with_or_without(rank)}"), list(group)


def _means(content: Content, rows: Sequence[Entry]) -> Iterator[PageTable]:
    counts = {part: rows[0]["result"]["estimates"][part][MEASURE]["customers"] for part in SLICES} if rows else {}
    against = [*content["recipe"]["against"], "bestsellers"]
    compared = [*((name, ALL) for name in against), (against[0], WITH_HISTORY)]
    less = [f"less {name}" if part == ALL else f"less {name}, {part}" for name, part in compared]
    head = ["Arm", *(f"{part} ({count:,})" for part, count in counts.items()), *less]
    for title, group in _groups(rows):
        cells = [
            [
                one["arm"],
                *(with_interval(one["result"]["estimates"][part][MEASURE]) for part in SLICES),
                *(_difference(one["differences"].get(name, {}).get(part)) for name, part in compared),
            ]
            for one in group
        ]
        yield PageTable(head, cells, f"{MEASURE}, {title}")


def with_interval(one: Mapping[str, Any]) -> str:
    """A mean, and on a second line its interval."""
    return "–" if one["value"] is None else f"{one['value']:{SHOWN}}\n{one['low']:{SHOWN}}–{one['high']:{SHOWN}}"


def _difference(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "–"
    interval = f"{one['low']:+{SHOWN}} to {one['high']:+{SHOWN}}"
    return f"{one['value']:+{SHOWN}}\n{interval}, p {one['p_holm']:.3f}"


def _published(content: Content) -> PageSection:
    note = (
        f"{content['source']} Its scores are Kaggle’s, of all of H&M’s customers in a hidden week, by a single DART "
        "tree: they do not compare with ours by size, only in which of the two is higher."
    )
    rows = [[name, f"{private:{SHOWN}}", f"{public:{SHOWN}}"] for name, private, public in SCORES]
    shares = [[name, f"{share:.0%}"] for name, share in IMPORTANCES]
    return PageSection(
        "The paper’s figures",
        note,
        [
            PageTable(["Arm", f"{MEASURE}, private", "public"], rows, "Table 2"),
            PageTable(["Feature", "importance"], shares, "Table 1, without the bestseller rank"),
        ],
    )


def _further(rows: Sequence[Entry]) -> PageTable:
    cells = [
        [one["title"], *(with_interval(one["result"]["estimates"][ALL][name]) for name in FURTHER)] for one in rows
    ]
    return PageTable(["Row", *FURTHER], cells)


def _went_in(content: Content) -> str:
    return (
        f"Articles with the arm’s features, of the {content['test']['articles']:,} articles that are candidates in the "
        "test, and the share of all candidates, customer by customer, that are of these. Components are fitted on "
        f"articles; the paper’s 50 explained {VARIANCE:.0%} of the variance of its 1,000 captions. "
        + " ".join(f"{sentence}." for sentence in _lacking(content))
    )


def _lacking(content: Content) -> list[str]:
    """Sentences on what lacks what."""
    added = [one["result"]["added"] for one in content["rows"] if one["result"] and one["ranker"]]
    found = [one["lacking"] for one in added if one and one.get("lacking")]
    return list(dict.fromkeys([*found, *content["left_out"]]))


def _facts(content: Content, rows: Sequence[Entry]) -> PageTable:
    head = ["Row", "articles", "candidates", "variance", "customers trained on", "candidates trained on", "took"]
    return PageTable(head, [[one["title"], *_fact(content, one["result"])] for one in rows if one["ranker"]])


def _fact(content: Content, result: Mapping[str, Any]) -> list[str]:
    added, trained = result["added"], result["trained_on"]
    return [
        _articles(added) if added else "–",
        percent(added["known_pairs"] / content["test"]["candidates"]) if added else "–",
        percent(added["variance"]) if added and "variance" in added else "–",
        f"{trained['customers']:,}",
        f"{trained['candidates']:,}",
        duration(result["seconds"]),
    ]


def _articles(added: Mapping[str, Any]) -> str:
    """How many candidates have the arm's features; of flags how many have each."""
    if "store" in added:
        return f"{added['known_candidates']:,}"
    return ", ".join(f"{name} {count:,}" for name, count in added["flags"].items())


def _importances(content: Content, rows: Sequence[Entry]) -> Iterator[PageSection]:
    """Of the arms with captions, without, and of bestsellers, as the paper's; those of all others are in rank.json."""
    recipe = content["recipe"]
    papers = [arm["name"] for arm in recipe["arms"] if arm["bestsellers"] is not None]
    charts, tables = [], []
    for one in rows:
        found = one["result"].get("importances", [])
        if found and one["arm"] in (recipe["captions"], recipe["against"][0], *papers):
            charts += [_bars(kind, one["title"], found) for kind in ("gain", "split")]
            cells = [[entry["feature"], f"{entry['gain']:.1%}", f"{entry['split']:.1%}"] for entry in found[:BARS]]
            tables.append(PageTable(["Feature", "gain", "splits"], cells, one["title"]))
    if charts:
        note = (
            "Each feature’s share of the gain and of the number of splits. A high share says that trees use a feature, "
            "not that they rank better by it; numbers that tell articles apart are used whatever they mean."
        )
        yield PageSection("Importance of features", note, tables, bars=charts)


def _bars(kind: str, title: str, importances: Sequence[Mapping[str, Any]]) -> PageBars:
    best = sorted(importances, key=lambda entry: -entry[kind])[:BARS]
    most = max(best[0][kind], 1e-12)
    bars = [Bar(entry["feature"], f"{entry[kind]:.1%}", entry[kind] / most) for entry in best]
    return PageBars(f"{'Gain' if kind == 'gain' else 'Splits'}: {title}", bars)
