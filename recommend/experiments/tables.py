"""The tables of `recommend.json`, as sections of a page; one for all data sets as in the paper, then each in full."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from metrics.common.formatting import duration, figure
from metrics.scoring.clusters import FEWEST
from recommend.common.page import PageSection, PageTable
from recommend.experiments.content import Content, published_name
from recommend.experiments.measured import ALL, COLD

FURTHER = ("MAP@{k}", "MAP@{k} (Kaggle)", "recall@{k}", "precision@{k}", "hit@{k}")
SHOWN = ".5f"
NOTE = (
    "Means over customers; below them 95% bootstrap intervals over customers. MAP is the mean of precision@1..k, as "
    "Elliot computes it and the paper prints it; it falls as k grows whatever the order of the list. The standard MAP "
    "and Kaggle’s are further below."
)
SLICES = (
    "Cold: articles that nobody had bought in training, of the customers who then bought one; no others count as hits. "
    "Customers: by how many articles they bought in training, in brackets their number."
)


def sections(content: Content) -> list[PageSection]:
    """All sections of the page."""
    of_datasets = [section for one in content["datasets"] for section in _of_dataset(content, one)]
    return [_together(content), *of_datasets, *([_masking(content["masking"])] if content["masking"] else [])]


def together(content: Content) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the paper's table: our means, and below them the published figures, if there are any."""
    head = ["Model", "whose"]
    head += [
        f"{one['name']} {published_name(name)}" if len(content["datasets"]) > 1 else published_name(name)
        for one in content["datasets"]
        for name in content["measures"]
    ]
    rows = []
    for title in _titles(content):
        for whose in ("ours", "published"):
            cells = [_mean(one, title, whose, name) for one in content["datasets"] for name in content["measures"]]
            if any(cell is not None for cell in cells) or whose == "ours":
                rows.append([title, whose, *(figure(cell, SHOWN) for cell in cells)])
    return head, rows


def _titles(content: Content) -> list[str]:
    ours = [row["model"] for one in content["datasets"] for row in one["rows"]]
    theirs = [row["model"] for one in content["datasets"] for row in one["only_published"]]
    return list(dict.fromkeys([*ours, *theirs]))


def _mean(dataset: Content, title: str, whose: str, measure: str) -> float | None:
    row: Content = next((one for one in [*dataset["rows"], *dataset["only_published"]] if one["model"] == title), {})
    if whose == "published":
        return (row.get("published") or {}).get(published_name(measure))
    return row["result"]["estimates"][ALL][measure]["value"] if row.get("result") else None


def _together(content: Content) -> PageSection:
    head, rows = together(content)
    joined = [[f"{title}, {whose}" if whose == "published" else title, *cells] for title, whose, *cells in rows]
    note = f"{NOTE} Published: {content['source']}." if content["source"] else NOTE
    return PageSection("All data sets", note, [PageTable([head[0], *head[2:]], joined)])


def _of_dataset(content: Content, dataset: Content) -> Iterator[PageSection]:
    finished = [row for row in dataset["rows"] if row["result"]]
    if not finished:
        yield PageSection(dataset["name"], "No model is finished.")
        return
    names = content["measures"]
    note = " ".join([*sentences(dataset, dataset["facts"]), *remarks(dataset)])
    tables = [
        PageTable(["Model", *map(published_name, names)], [_intervals(row, ALL, names) for row in finished], "Means"),
        _further(content, finished),
        _costs(finished),
    ]
    yield PageSection(dataset["name"], note, tables)
    yield PageSection(f"{dataset['name']}: by customers and articles", SLICES, [*_slices(content, finished)])
    differing = [*_differences(content, dataset)]
    if differing:
        yield PageSection(f"{dataset['name']}: differences", content["method"]["difference"] + ".", differing)


def remarks(dataset: Content) -> list[str]:
    """What keeps figures from being compared with the paper's; which articles had no features."""
    read = [(row["result"] or {}).get("features") for row in dataset["rows"]]
    lacking = dict.fromkeys(one["lacking"] for one in read if one and one["lacking"])
    warnings = [dataset["warning"]] if dataset["warning"] else []
    return [*warnings, *dataset["unlike_models"], *(f"{sentence}." for sentence in lacking)]


def sentences(dataset: Content, facts: Mapping[str, Any]) -> list[str]:
    """What a data set is, in sentences: parts, customers, candidates, cold articles, what the split cuts and mixes."""
    cut = (
        f"Of {100 * facts['cut_share']:.1f}% of the customers with a history the split cuts a basket inside a day: for "
        "them it is measured whether the rest of that basket is found."
    )
    future = (
        f"{100 * facts['before_end_share']:.1f}% of the test purchases lie before the last day of training: models "
        "learn from what others bought later."
    )
    return [
        f"Split {dataset['split']}: {facts['train']:,} purchases of training, {facts['test']:,} of test.",
        f"Of {facts['test_customers']:,} test customers {facts['with_history']:,} have purchases in training; "
        f"{facts['single_purchase']:,} customers have a single purchase.",
        f"Candidates: {dataset['candidates']}, {facts['candidates']:,} articles; {facts['bought']:,} articles were "
        "bought.",
        f"Of the {facts['test_articles']:,} articles bought in the test part nobody bought {facts['cold_articles']:,} "
        f"in training ({facts['cold_purchases']:,} purchases).",
        *([cut] if facts["cut_share"] else []),
        *([future] if facts["before_end_share"] else []),
    ]


def _intervals(row: Content, part: str, names: Sequence[str]) -> list[str]:
    found = row["result"]["estimates"].get(part, {})
    return [row["model"], *(_with_interval(found.get(name)) for name in names)]


def _with_interval(one: Mapping[str, Any] | None) -> str:
    if one is None or one["value"] is None:
        return "–"
    return f"{one['value']:{SHOWN}}\n{one['low']:{SHOWN}}–{one['high']:{SHOWN}}"


def _further(content: Content, rows: Sequence[Content]) -> PageTable:
    k = max(content["ks"])
    names = [form.format(k=k) for form in FURTHER]
    shown = [f"coverage@{k}", f"novelty@{k}"]
    cells = [[*_intervals(row, ALL, names), *(f"{row['result']['lists'][name]:.4g}" for name in shown)] for row in rows]
    return PageTable(["Model", *names, *shown], cells, f"Further measures at {k}; novelty in bits")


def _costs(rows: Sequence[Content]) -> PageTable:
    head = ["Model", "customers", "short lists", "features", "articles with features", "fit", "recommend", "chosen"]
    return PageTable(head, [[row["model"], *_cost(row["result"])] for row in rows], "What it took")


def _cost(result: Content) -> list[str]:
    features, seconds = result["features"], result["seconds"]
    customers = next(iter(result["estimates"][ALL].values()))["customers"]
    return [
        f"{customers:,}",
        f"{result['short_lists']:,}",
        features["name"] if features else "–",
        _with_features(features) if features else "–",
        duration(seconds["fit"] + seconds["choose"]),
        duration(seconds["recommend"]),
        _chosen(result["trials"]),
    ]


def _with_features(features: Content) -> str:
    filled = f"\n{features['filled']:,} filled in, {features['by_mean']:,} by the mean"
    counts = f"{features['known']:,} of {features['articles']:,}"
    return counts + (filled if features["filled"] or features["by_mean"] else "")


def _chosen(trials: Sequence[Mapping[str, Any]]) -> str:
    if not trials:
        return "–"
    best = max(trials, key=lambda trial: float(trial["value"]))
    return ", ".join(f"{key} {value}" for key, value in best["settings"].items())


def _slices(content: Content, rows: Sequence[Content]) -> Iterator[PageTable]:
    """The cold articles, if there are any; customers by how many articles they bought in training."""
    names, found = content["measures"], rows[0]["result"]["estimates"]
    counts = {part: next(iter(of_part.values()))["customers"] for part, of_part in found.items()}
    if COLD in found:
        cold = [_intervals(row, COLD, names) for row in rows]
        few = f", fewer than {FEWEST}: do not trust the intervals" if counts[COLD] < FEWEST else ""
        title = f"Cold articles: {counts[COLD]:,} customers{few}"
        yield PageTable(["Model", *map(published_name, names)], cold, title)
    by = f"nDCG@{max(content['ks'])}"
    groups = [part for part in found if part not in (ALL, COLD)]
    cells = [[row["model"], *(_with_interval(row["result"]["estimates"][part][by]) for part in groups)] for row in rows]
    yield PageTable(["Model", *(f"{part} ({counts[part]:,})" for part in groups)], cells, f"{by} by customers")


def _differences(content: Content, dataset: Content) -> Iterator[PageTable]:
    by = f"nDCG@{max(content['ks'])}"
    titles = {"next": "Each model less the next", "against": "Each model less another"}
    for kind, title in titles.items():
        for part in (ALL, COLD):
            found = [one for one in dataset["differences"] if (one["kind"], one["slice"]) == (kind, part)]
            rows = [_difference(one, content["measures"], by) for one in found if one["differences"]]
            if rows:
                named = title if part == ALL else f"{title}, {part} articles"
                yield PageTable(["Model", "less", *map(published_name, content["measures"]), f"p ({by})"], rows, named)


def _gain(one: Mapping[str, Any] | None) -> str:
    return f"{one['value']:+{SHOWN}}\n{one['low']:+{SHOWN}} to {one['high']:+{SHOWN}}" if one else "–"


def _difference(one: Content, names: Sequence[str], by: str) -> list[str]:
    found = one["differences"]
    cells = [_gain(found[name]) for name in names]
    return [one["model"], one["from"], *cells, f"{found[by]['p']:.4f}\n{one['p_holm']:.4f} by Holm"]


def _masking(study: Content) -> PageSection:
    """The study of missing features: its sentences, and a table for each recommender."""
    title = f"Missing features, on {study['dataset']}"
    note = " ".join([*study["sentences"], *(f"{note[:1].upper()}{note[1:]}." for note in study["notes"])])
    less = ["less mean imputation", "less neighbours"]
    head = ["Filled in by", "hidden", "to find", f"nDCG@{study['k']}", *less, "given the mean"]
    models = dict.fromkeys(row["model"] for row in study["rows"])
    tables = [
        PageTable(head, [_masked(row) for row in study["rows"] if row["model"] == model], model) for model in models
    ]
    return PageSection(title, note, tables)


def _masked(row: Content) -> list[str]:
    return [
        row["method"],
        f"{row['hidden']:,} ({row['share']:.0%})",
        f"articles: {row['articles']}",
        _with_interval(row["ndcg"]),
        *(_gain(row[name]) for name in ("gain", "over_neighbours")),
        f"{row['by_mean']:,}",
    ]
