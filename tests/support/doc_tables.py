"""Read the Markdown tables of docs/, whose rows tests compare with the code."""

from pathlib import Path


def table_rows(page: Path, under: str = "") -> list[tuple[str, ...]]:
    """Return the cells of every table row, without the header rows.

    `under` limits the search to the part of the page below this heading, up to the next heading of its level.
    """
    lines = _part(page.read_text(encoding="utf-8").splitlines(), under)
    rows = [index for index, line in enumerate(lines) if line.startswith("|")]
    titles = {index + step for index in rows if lines[index].startswith("| ---") for step in (-1, 0)}
    return [_cells(lines[index]) for index in rows if index not in titles]


def _part(lines: list[str], under: str) -> list[str]:
    if not under:
        return lines
    begin = lines.index(under) + 1
    level = under.partition(" ")[0]
    ends = (index for index in range(begin, len(lines)) if lines[index].partition(" ")[0] in _levels(level))
    return lines[begin : next(ends, len(lines))]


def _levels(level: str) -> tuple[str, ...]:
    """Return the marks of headings that end a part: those of its level and above."""
    return tuple("#" * depth for depth in range(1, len(level) + 1))


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip("|").split(" | "))
