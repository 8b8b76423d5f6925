"""Pixels of any mode to RGB, upright, in tiles: photos of 100 million pixels never need more than a few copies."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

_TILE = 1024  # pixels of a side
_ORIENTATION = 0x0112  # of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)


def upright_rgb(image: Image.Image) -> Image.Image:
    """The photo as RGB, turned as its EXIF says; pixels are not lost for EXIF that cannot be read."""
    image.load()
    rgb, turn = to_rgb(image), _TURNS.get(orientation(image))
    return rgb if turn is None else rgb.transpose(turn)


def orientation(image: Image.Image) -> int:
    """How a camera held the photo, 1 to 8 as in EXIF; 1, upright, if it does not say so."""
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:  # of many kinds, for tags of types that their values do not have
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def upright_size(size: tuple[int, int], turned: int) -> tuple[int, int]:
    """Width and height of a photo of this size once its `orientation` is undone."""
    return size[::-1] if turned in _ON_ITS_SIDE else size


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB: 16-bit is scaled to 8, transparency becomes white."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    return _on_white(image) if image.has_transparency_data else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size)
    for box in _tiles(image.size):
        tile = image.crop(box).convert("RGBA")
        flat.paste(Image.alpha_composite(Image.new("RGBA", tile.size, "white"), tile).convert("RGB"), box[:2])
    return flat


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale grey values of 16 bits, 32 bits or floating point to 0..255."""
    scale, grey = 255 / _white(image), Image.new("L", image.size)
    for box in _tiles(image.size):
        values = np.nan_to_num(np.asarray(image.crop(box), dtype=np.float64))
        grey.paste(Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8)), box[:2])
    return grey


def _white(image: Image.Image) -> int:
    """The value that is white: the highest that its type has, or the range that its values seem to be in."""
    if image.mode.startswith("I;16"):
        return 65535
    highest = max(np.fmax.reduce(np.asarray(image.crop(box)), axis=None, initial=0) for box in _tiles(image.size))
    if image.mode == "F" and highest <= 1:
        return 1
    return 65535 if highest > 255 else 255


def _tiles(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Boxes (left, upper, right, lower) that cover a photo."""
    width, height = size
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            yield left, top, min(left + _TILE, width), min(top + _TILE, height)
