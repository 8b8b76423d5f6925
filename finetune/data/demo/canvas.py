"""A canvas in design units: x from -120 to 120 with 0 on the garment's axis, y from 0 (top) to 360."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from finetune.data.demo.palette import COLOURS, RGB, luminance, mix

Point = tuple[float, float]
Line = Sequence[Point]
DESIGN = (240.0, 360.0)
DARK, LIGHT = (24, 22, 28), (255, 255, 255)
DARKNESS = 100.0


@dataclass(frozen=True)
class Paint:
    """The colours of one drawing: the fabric, what stands out on it, and shades of it."""

    fill: RGB
    accent: RGB
    ink: RGB
    inside: RGB
    raised: RGB

    @classmethod
    def of(cls, colour: str, accent: str, rng: np.random.Generator) -> "Paint":
        """Mix the paints for a garment, each a shade lighter or darker at random."""
        fill, second = (_shaded(COLOURS[name].rgb, rng) for name in (colour, accent))
        dark = luminance(fill) < DARKNESS
        ink = mix(fill, LIGHT, 0.72) if dark else mix(fill, DARK, 0.76)
        return cls(fill, second, ink, mix(fill, ink, 0.55 if dark else 0.5), mix(fill, LIGHT if dark else DARK, 0.2))


def _shaded(rgb: RGB, rng: np.random.Generator) -> RGB:
    red, green, blue = (
        int(np.clip(value + shift, 0, 255)) for value, shift in zip(rgb, rng.integers(-7, 8, 3), strict=True)
    )
    return red, green, blue


class Canvas:
    """Draws points given in design units on an image of any size."""

    def __init__(self, image: Image.Image, scale: float, shift: Point) -> None:
        self.image = image
        self.pen = ImageDraw.Draw(image)
        self.across, self.down = (side / design * scale for side, design in zip(image.size, DESIGN, strict=True))
        self.left = image.size[0] / 2 + shift[0] * self.across
        self.top = image.size[1] * (1 - scale) / 2 + shift[1] * self.down

    def place(self, points: Line) -> list[Point]:
        """Return the points in pixels."""
        return [(self.left + x * self.across, self.top + y * self.down) for x, y in points]

    def area(self, points: Line, fill: RGB | int, outline: RGB | None = None, width: float = 4.0) -> None:
        """Fill a polygon, and draw its outline if one is asked for."""
        placed = self.place(points)
        self.pen.polygon(placed, fill=fill)
        if outline is not None:
            self.pen.line([*placed, placed[0], placed[1]], fill=outline, width=self._thick(width), joint="curve")

    def line(self, points: Line, fill: RGB, width: float = 4.0) -> None:
        """Draw an open line."""
        self.pen.line(self.place(points), fill=fill, width=self._thick(width), joint="curve")

    def dot(self, centre: Point, radius: float, fill: RGB, outline: RGB | None = None) -> None:
        """Draw a disc."""
        (x, y), across, down = self.place([centre])[0], radius * self.across, radius * self.down
        self.pen.ellipse((x - across, y - down, x + across, y + down), fill=fill, outline=outline, width=self._thick(2))

    def _thick(self, width: float) -> int:
        return max(1, round(width * self.across))


def mirrored(points: Line) -> list[Point]:
    """Return the points on the other side of the axis."""
    return [(-x, y) for x, y in points]


def closed(right: Line) -> list[Point]:
    """Return the whole symmetric outline whose right half is given from top to bottom."""
    return [*right, *reversed(mirrored(right))]


def curve(points: Line, steps: int = 5) -> list[Point]:
    """Return a smooth line through the points (Catmull-Rom)."""
    padded = np.array([points[0], *points, points[-1]], dtype=float)
    before, start, end, after = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    spline = start + 0.5 * t * (
        end - before + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    smooth: list[Point] = [(float(x), float(y)) for x, y in spline.reshape(-1, 2)]
    return [*smooth, points[-1]]


def arc(centre: Point, across: float, down: float, start: float, end: float, steps: int = 14) -> list[Point]:
    """Return an elliptic arc; angles in degrees, clockwise from three o'clock."""
    angles = np.radians(np.linspace(start, end, steps))
    return [(centre[0] + across * float(np.cos(a)), centre[1] + down * float(np.sin(a))) for a in angles]
