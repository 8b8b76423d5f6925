"""The measures by name: their order in tables and their highest values. Imports nothing, so that recipes stay light."""

# As the papers print them.
ORDER = (
    "BLEU-1",
    "BLEU-2",
    "BLEU-3",
    "BLEU-4",
    "METEOR",
    "ROUGE-L",
    "CIDEr",
    "SPICE",
    "MAP",
    "MAR",
    "Attr-F1",
    "Acc",
    "CLIPScore",
    "RefCLIPScore",
)
# The measures that papers lead with come first, so that a phone shows them without scrolling.
HEADLINE = (
    "CIDEr",
    "SPICE",
    "METEOR",
    "ROUGE-L",
    "BLEU-4",
    "MAP",
    "MAR",
    "Attr-F1",
    "Acc",
    "CLIPScore",
    "RefCLIPScore",
    "BLEU-1",
    "BLEU-2",
    "BLEU-3",
)
# The highest value of each; papers print all of them x100.
# CLIPScore is 2.5 cos, RefCLIPScore the harmonic mean of that and a cosine: 2 * 2.5 / (2.5 + 1).
MAXIMUM: dict[str, float] = dict.fromkeys(ORDER, 1) | {"CIDEr": 10, "CLIPScore": 2.5, "RefCLIPScore": 10 / 7}
