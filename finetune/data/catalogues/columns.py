"""Which columns of a table hold photos and descriptions, where a recipe does not say."""

from collections.abc import Sequence

from finetune.config.catalogues import Columns
from metrics.records.column_names import CAPTIONS, IMAGES, others_named, usual_columns

NO_CAPTION = ""  # `columns.caption: ""` in a recipe: none of the columns, whatever they are called


def with_usual_columns(columns: Columns, found: Sequence[str]) -> tuple[Columns, list[str]]:
    """The recipe's columns with those of photos and descriptions that it does not name, and what was taken.

    Ids are never guessed: without a column of them an item is known by its photo's path, as it always was.
    """
    used = {columns.image, columns.id, columns.product_id, columns.category, columns.colour, *columns.attributes}
    free = [name for name in found if name not in used]
    taken, notes = {}, []
    if columns.image not in found and columns.image == Columns().image:
        taken["image"] = usual_columns(free, IMAGES)
    if columns.caption is None:
        taken["caption"] = [name for name in usual_columns(free, CAPTIONS) if name not in taken.get("image", ())[:1]]
    for role, names in taken.items():
        key = f"data.columns.{role}"
        notes.append(
            f"{role} from the column {names[0]}{others_named(names)}; {key} names another"
            if names
            else f"no column is known to be the {role}: found {', '.join(found)}; {key} names it"
        )
    given = {role: names[0] for role, names in taken.items() if names}
    without = {"caption": None} if columns.caption == NO_CAPTION else {}
    return columns.model_copy(update=given | without), notes
