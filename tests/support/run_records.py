"""The records of a training and of a captioning run, with every key."""

from typing import Any

TRAINED: dict[str, Any] = {
    "recipe": {"data": {"catalogue": "hm", "split": {"method": "published"}}, "model": {"base": "b"}},
    "loss_history": [{"step": 10, "epoch": 0.5, "loss": 3.0}, {"step": 20, "epoch": 1.0, "eval_loss": 2.5}],
    "best": {"of": "loss", "value": 2.5},
    "best_step": 20,
    "parameters": {"language": {"total": 10, "trainable": 2}},
    "versions": {"torch": "2.13"},
    "hardware": {"device": "cpu"},
    "times": {"train_s": 4.5},
    "cut_captions": {"train": ["1"]},
    "init_from": {"adapter": "a", "is_known": True},
    "mixture": [{"name": "a", "weight": 1.0}],
    "seed": 42,
}
RUN: dict[str, Any] = TRAINED | {
    "system": "ours",
    "kind": "finetuned",
    "decoding": {"beams": 1},
    "lookup": {"rule": "nearest", "encoder": "e", "k": 10},
    "leak_note": "none",
    "leak_audit": {"test_items": 3, "captions_in_train": 0.5, "siblings_in_train": 0.5, "test_captions": 3},
    "catalogue": {
        "name": "hm",
        "folder": "shop",
        "counts": [{"step": "all", "articles": 3}],
        "split": {"method": "published", "sizes": {"train": 3}},
        "dropped": {"no photo": 2},
        "bad_images": ["a.jpg: broken"],
        "notes": {"words": ["one", "two"]},
        "outside_middle_square": 0.25,
    },
}
