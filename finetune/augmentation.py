"""Random changes to training photos."""

from PIL import Image, ImageOps
from torch import rand

from finetune.config import Augmentation


class Augmenter:
    """Mirrors and crops photos; draws from torch's generator, so that the run's seed governs it."""

    def __init__(self, config: Augmentation) -> None:
        self.config = config

    def __call__(self, image: Image.Image) -> Image.Image:
        """Change one photo."""
        flip, area, left, top = rand(4).tolist()
        if flip < self.config.flip:
            image = ImageOps.mirror(image)
        kept = 1 - self.config.crop * area
        width, height = max(1, round(image.width * kept)), max(1, round(image.height * kept))
        x, y = round((image.width - width) * left), round((image.height - height) * top)
        return image.crop((x, y, x + width, y + height))
