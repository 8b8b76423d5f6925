"""The workloads of the benchmark, for Lookbook and for the official scorers: the same inputs, the same values."""

import json
import os
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from metrics.bench.runner import Contest, Values
from metrics.bench.synthetic import descriptions, made_up_captions
from metrics.common.files import write_text
from metrics.measures.attributes import stanza_models
from metrics.measures.spice.install import jar_folder
from metrics.measures.spice.measure import ItemScores, Spice, read_scores
from metrics.measures.spice.process import JAR, module_options, spice_folder
from metrics.text.java import find_java

Item = tuple[str, tuple[str, ...]]


def contests(stanza: str) -> list[Contest]:
    """Return all contests; attributes use the Stanza models of `stanza`."""
    return [
        Contest("score, all but SPICE", (10_000, 101_225), write_pairs, our_scores, pycocoevalcap_scores),
        Contest("SPICE", (100, 2_000), write_spice_pairs, our_spice, spice_jar, again=True),
        Contest("attributes", (1_000, 4_000), partial(write_descriptions, stanza), our_lemmas, lemmas_one_at_a_time),
    ]


def lacking(contest: Contest, stanza: str) -> str | None:
    """Return why a contest cannot run here, None if it can."""
    if contest.name == "SPICE":
        return Spice().absent()
    return stanza_models.absent(stanza) if contest.name == "attributes" else None


def write_pairs(folder: Path, pairs: int) -> str:
    """Write captions and references as `captions.jsonl`; return what they are."""
    records = made_up_captions(pairs)
    write_text(folder / "captions.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    references = [record["references"][0] for record in records]
    distinct = len({(record["caption"], record["references"][0]) for record in records}) / pairs
    return f"{pairs:,} pairs, one reference each ({_described(references)}; pairs: {distinct:.0%})"


def our_scores(folder: Path) -> Values:
    """Score the pairs as `lookbook score` does, intervals and report included, which the official scorers lack."""
    from metrics.reports.score_files import score_files  # noqa: PLC0415
    from metrics.scoring.registry import choose_measures  # noqa: PLC0415

    score_files([folder / "captions.jsonl"], folder / "out", choose_measures(["BLEU-4", "METEOR", "ROUGE-L", "CIDEr"]))
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    items = [json.loads(line) for line in (folder / "out" / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    scores = report["systems"][0]["scores"]["all"]
    return {name: [score["value"], *(item[name] for item in items)] for name, score in scores.items()}


def pycocoevalcap_scores(folder: Path) -> Values:
    """Score the pairs as pycocoevalcap's `COCOEvalCap.evaluate` does, without SPICE."""
    from pycocoevalcap.bleu.bleu import Bleu  # noqa: PLC0415
    from pycocoevalcap.cider.cider import Cider  # noqa: PLC0415
    from pycocoevalcap.meteor.meteor import Meteor  # noqa: PLC0415
    from pycocoevalcap.rouge.rouge import Rouge  # noqa: PLC0415
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer  # noqa: PLC0415

    records = [json.loads(line) for line in (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines()]
    tokenizer = PTBTokenizer()
    references = tokenizer.tokenize({r["id"]: [{"caption": text} for text in r["references"]] for r in records})
    captions = tokenizer.tokenize({r["id"]: [{"caption": r["caption"]}] for r in records})
    values: Values = {}
    bleu, of_items = Bleu(4).compute_score(references, captions)
    for order in range(4):
        values[f"BLEU-{order + 1}"] = [bleu[order], *of_items[order]]
    for name, scorer in (("METEOR", Meteor()), ("ROUGE-L", Rouge()), ("CIDEr", Cider())):
        score, of_items = scorer.compute_score(references, captions)
        values[name] = [float(score), *map(float, of_items)]
    return values


def write_spice_pairs(folder: Path, pairs: int) -> str:
    """Write tokenised pairs as `items.json`, and give both sides' empty caches SPICE's jars; return what they are."""
    from metrics.text.tokenization import tokenize  # noqa: PLC0415

    texts = tokenize([*descriptions(pairs, seed=18), *descriptions(pairs)])
    candidates, references = texts[:pairs], texts[pairs:]
    items = [[candidate, [reference]] for candidate, reference in zip(candidates, references, strict=True)]
    write_text(folder / "items.json", json.dumps(items))
    jars = jar_folder().resolve()
    for side in ("ours", "theirs"):
        (folder / f"cache of {side}" / "spice").mkdir(parents=True)
        (folder / f"cache of {side}" / "spice" / "jars").symlink_to(jars, target_is_directory=True)
    return f"{pairs:,} tokenised pairs, one reference each ({_described(texts)})"


def our_spice(folder: Path) -> Values:
    """Score the pairs with what is cached."""
    from metrics.measures.spice.measure import spice_per_item  # noqa: PLC0415

    items = _items(folder)
    scores = spice_per_item([candidate for candidate, _ in items], [references for _, references in items]).items
    return {"SPICE": [item["All"]["f"] for item in scores]}


def spice_jar(folder: Path) -> Values:
    """Score the pairs by the jar as pycocoevalcap calls it, with an empty cache."""
    scores = spice_as_shipped(_items(folder), folder)
    return {"SPICE": [item["All"]["f"] for item in scores]}


def spice_as_shipped(items: Sequence[Item], folder: Path) -> list[ItemScores]:
    """Score (candidate, references) as pycocoevalcap does, its files and its cache in `folder`, an existing one.

    Raises:
        CalledProcessError: when the jar fails.
    """
    given, scores, cache = folder / "in.json", folder / "out.json", folder / "cache"
    cache.mkdir(exist_ok=True)
    rows = [{"image_id": n, "test": test, "refs": list(texts)} for n, (test, texts) in enumerate(items)]
    given.write_text(json.dumps(rows, indent=2), encoding="ascii")
    java, jar = find_java(), spice_folder() / JAR
    command = [str(java), *module_options(java), "-Xmx8G", "-cp", os.pathsep.join((str(jar), str(jar_folder() / "*")))]
    options = [str(given), "-cache", str(cache), "-out", str(scores), "-subset", "-silent"]
    subprocess.run([*command, "edu.anu.spice.SpiceScorer", *options], capture_output=True, check=True)  # noqa: S603
    by_number = read_scores(scores.read_text(encoding="utf-8"))
    return [by_number[number] for number in range(len(items))]


def write_descriptions(stanza: str, folder: Path, captions: int) -> str:
    """Write captions as `captions.json`, and which Stanza models read them; return what they are."""
    texts = descriptions(captions)
    write_text(folder / "captions.json", json.dumps([stanza, texts]))
    return f"{captions:,} captions ({_described(texts)}), Stanza models: {stanza}"


def our_lemmas(folder: Path) -> Values:
    """Find the lemmas of nouns and adjectives by Lookbook."""
    from metrics.measures.attributes.lemmas import Lemmas  # noqa: PLC0415

    stanza, captions = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    lemmas = Lemmas(stanza).of(captions)
    return {"lemmas": [list(lemmas[caption]) for caption in captions]}


def lemmas_one_at_a_time(folder: Path) -> Values:
    """Find them as the paper's code does: one call of Stanza's pipeline for each caption."""
    stanza, captions = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    return {"lemmas": [list(lemmas) for lemmas in one_at_a_time(captions, stanza)]}


def one_at_a_time(captions: Sequence[str], source: str) -> list[tuple[str, ...]]:
    """Return each caption's lemmas by one call of the pipeline of `source`, as it is, for each."""
    from metrics.measures.attributes.lemmas import normalised  # noqa: PLC0415
    from metrics.measures.attributes.stanza_models import load_pipeline  # noqa: PLC0415
    from metrics.measures.attributes.worker_main import parse  # noqa: PLC0415

    pipeline = load_pipeline(source, remember=False)
    return [tuple(parse(pipeline, [normalised(caption)])[0]) for caption in captions]


def _items(folder: Path) -> list[Item]:
    rows = json.loads((folder / "items.json").read_text(encoding="utf-8"))
    return [(candidate, tuple(references)) for candidate, references in rows]


def _described(texts: Sequence[str]) -> str:
    words = sum(len(text.split()) for text in texts) / len(texts)
    return f"{words:.1f} words, {len(set(texts)) / len(texts):.0%} of the texts distinct"
