"""What `make demo`, `make demo-recommend` and `make reproduce` on the demo must show; CI runs this after them."""

import json
from pathlib import Path

from metrics.common.measure_names import ORDER

RUNS = Path(__file__).parent.parent / "runs"


def test_all_seven_measures_are_there() -> None:
    """CLIPScore needs a model of the Hub."""
    report = json.loads((RUNS / "demo" / "report" / "report.json").read_text())
    assert report["measures"] == [name for name in ORDER if not name.endswith("CLIPScore")]
    unseen = {system["name"]: system["scores"]["unseen"] for system in report["systems"]}
    for measure in ("METEOR", "SPICE", "MAP", "MAR", "Acc"):
        tuned, shuffled = unseen["fine-tuned"][measure], unseen["fine-tuned, photos shuffled"][measure]
        assert tuned["interval"][0] > shuffled["interval"][1]


def test_the_fine_tuned_model_reads_its_images() -> None:
    systems = json.loads((RUNS / "demo" / "report" / "report.json").read_text())["systems"]
    cider = {system["name"]: system["scores"]["unseen"]["CIDEr"]["value"] for system in systems}
    assert cider["fine-tuned"] > 1.0
    assert cider["fine-tuned"] >= 3 * cider["pretrained"]
    assert cider["fine-tuned, photos shuffled"] <= cider["fine-tuned"] / 2
    assert cider["fine-tuned"] > cider["category's most frequent caption"]


def test_all_cells_of_the_grid_stand_beside_the_published_ones() -> None:
    datasets = json.loads((RUNS / "reproduce-demo" / "reproduction.json").read_text())["datasets"]
    cells = [row for dataset in datasets for row in dataset["rows"] if row["setting"] in ("PT", "FT")]
    assert len(cells) == 16
    assert all(
        {"BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", "MAP", "MAR", "Acc"}
        <= row["ours"].keys() & row["published"].keys()
        for row in cells
    )
    tuned, untuned = ([row["ours"]["CIDEr"] for row in cells if row["setting"] == kind] for kind in ("FT", "PT"))
    assert all(after > 5 > 2 * before for after, before in zip(tuned, untuned, strict=True))


def test_recommenders_learn_the_demos_purchases() -> None:
    """`make demo-recommend`: paired intervals of nDCG@12 that exclude 0, on all articles and on those that are new."""
    datasets = json.loads((RUNS / "demo" / "recommend" / "recommend.json").read_text())["datasets"]
    gains = {
        (dataset["name"], one["slice"], one["model"], one["from"]): one["differences"]["nDCG@12"]["low"]
        for dataset in datasets
        for one in dataset["differences"]
        if one["kind"] == "against"
    }
    for model in ("ItemKNN", "Content (photo)"):
        assert gains["80/20", "all", model, "MostPop"] > 0
    for row in datasets[0]["rows"]:
        if row["model"] not in ("Random", "Content (random)"):
            assert gains["80/20", "all", row["model"], "Random"] > 0, row["model"]
    for other in ("BPR", "VBPR for cold (random)"):
        assert gains["last week", "cold", "VBPR for cold (photo)", other] > 0


def test_a_ranker_and_a_composed_query_are_on_the_page_of_all() -> None:
    """`make demo-recommend`; of drawn dresses composed retrieval finds three times as many as the photo or the text."""
    page = (RUNS / "demo-recommend.html").read_text(encoding="utf-8")
    for title in (
        "Features of demo",
        "Captions as features of a ranker",
        "Like this one, but: is red and has long sleeves",
    ):
        assert f"{title}</h1>" in page
    part = json.loads((RUNS / "demo-composed" / "composed-retrieval.json").read_text(encoding="utf-8"))["parts"][0]
    recall = {row["name"]: row["figures"]["mean R@10"]["value"] for row in part["rows"]}
    assert recall["composed"] > 3 * max(recall["photo only"], recall["text only"])
