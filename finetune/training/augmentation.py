"""Random changes to training photos."""

from collections.abc import Sequence

from PIL import Image, ImageOps

from finetune.config.recipe import Augmentation


class Augmenter:
    """Mirrors and crops photos."""

    def __init__(self, config: Augmentation) -> None:
        self.config = config

    def __call__(self, image: Image.Image, draw: Sequence[float]) -> Image.Image:
        """Change one photo by four random numbers in [0, 1)."""
        flip, area, left, top = draw
        if flip < self.config.flip:
            image = ImageOps.mirror(image)
        share = 1 - self.config.crop * area
        width, height = max(1, round(image.width * share)), max(1, round(image.height * share))
        x, y = round((image.width - width) * left), round((image.height - height) * top)
        return image.crop((x, y, x + width, y + height))
