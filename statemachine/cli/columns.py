"""Lines with aligned columns."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from statemachine.cli.wording import heading
from statemachine.i18n.text import Language

GAP = "  "
LEAST_LAST_WIDTH = 16
"""A last column that has fewer cells than this continues on the next line instead of being cut."""


def headings(names: Sequence[str], language: Language) -> list[Text]:
    """Return the headings of these columns."""
    return [Text(heading(name, language), style="bold") for name in names]


def aligned(rows: Sequence[Sequence[Text]], width: int | None = None) -> list[Text]:
    """Return a line for each row. The last column is cut so that lines have `width` cells, no other."""
    widths = [max(cell.cell_len for cell in column) for column in list(zip(*rows, strict=True))[:-1]]
    return [_line(row, widths, width) for row in rows]


def _line(cells: Sequence[Text], widths: Sequence[int], width: int | None) -> Text:
    line = Text()
    for cell, wanted in zip(cells, widths, strict=False):
        line.append_text(cell).append(" " * (wanted - cell.cell_len) + GAP)
    last = cells[-1].copy()
    if width is not None:
        last.truncate(max(width - cell_len(line.plain), LEAST_LAST_WIDTH), overflow="ellipsis")
    return line.append_text(last)
