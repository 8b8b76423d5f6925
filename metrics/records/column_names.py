"""What columns are usually called, for tables whose columns nobody has named."""

import re
from collections.abc import Sequence

# The likeliest first: a title may stand beside a description, and an id beside the photo's name.
IDS = ("id", "image_id", "item_id", "article_id", "sku", "file_name", "filename", "image", "photo", "url")
IMAGES = ("file_name", "filename", "image", "photo", "picture", "img", "path", "image_path", "file")
CAPTIONS = ("caption", "description", "text", "captions", "detail_desc", "product_description", "alt_text", "title")
REFERENCES = ("references", "reference", "refs", "ref", "ground_truth", "gt")
URLS = ("url", "image_url", "photo_url", "picture_url", "img_url", "link", "image_link", "image", "photo", "src")


def usual_columns(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Those of the `columns` that have one of the usual `names`, the likeliest first.

    Case, blanks and hyphens make no difference: `Image Path` is image_path.
    """
    spelled = [(re.sub(r"[\s-]+", "_", column.strip().lower()), column) for column in columns]
    return [column for name in names for plain, column in spelled if plain == name]


def others_named(found: Sequence[str]) -> str:
    """What to say of the columns that have a usual name too, but were not taken; empty if there are none."""
    return f" (there is {', '.join(found[1:])}, too)" if found[1:] else ""
