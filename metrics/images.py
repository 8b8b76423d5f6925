"""Photos of any mode as RGB."""

import numpy as np
from PIL import Image


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB: 16-bit is scaled to 8, transparency is laid on white."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale grey values of 16 bits, 32 bits or floating point to 0..255."""
    values = np.asarray(image, dtype=np.float64)
    highest = values.max(initial=0)
    if image.mode.startswith("I;16"):
        white = 65535
    elif image.mode == "F" and highest <= 1:
        white = 1
    else:
        white = 65535 if highest > 255 else 255
    return Image.fromarray((values * (255 / white)).round().clip(0, 255).astype(np.uint8))
