"""`python plain.py MODEL PHOTOS PROMPT`: captions by transformers alone, as the model's generation_config.json says."""

import json
import sys
from pathlib import Path

import torch
import transformers
from PIL import Image


def main(folder: str, photos: str, prompt: str) -> None:
    """Print the version and the captions of the photos in a folder, in the order of their names."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    captions = []
    for path in sorted(Path(photos).iterdir()):
        photo = Image.open(path).convert("RGB")
        inputs = processor(images=[photo], text=[prompt], return_tensors="pt")
        with torch.inference_mode():
            tokens = model.generate(**inputs, generation_config=model.generation_config)
        written = tokens[0, inputs["input_ids"].shape[1] :]
        captions.append(" ".join(processor.tokenizer.decode(written, skip_special_tokens=True).split()))
    print(json.dumps({"transformers": transformers.__version__, "captions": captions}))


if __name__ == "__main__":
    main(*sys.argv[1:])
