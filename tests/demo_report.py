"""What `make demo` must show; CI runs this after it. The file's name keeps `make test` from it."""

import json
from pathlib import Path

REPORT = Path(__file__).parent.parent / "runs" / "demo" / "report" / "report.json"


def test_the_fine_tuned_model_reads_its_images() -> None:
    systems = json.loads(REPORT.read_text())["systems"]
    cider = {system["name"]: system["scores"]["unseen"]["CIDEr"]["value"] for system in systems}
    assert cider["fine-tuned"] > 1.0
    assert cider["fine-tuned"] >= 3 * cider["pretrained"]
    assert cider["fine-tuned, photos shuffled"] <= cider["fine-tuned"] / 2
    assert cider["fine-tuned"] > cider["category's most frequent caption"]
