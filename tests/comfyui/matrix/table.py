"""The table in docs/comfyui.md."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.comfyui.matrix.kinds import KINDS
from tests.support.paths import DOCS

PAGE = DOCS / "comfyui.md"
SITUATIONS = ("cold", "eviction", "restart", "raising node", "missing node", "foreign client")
HEAD = f"| version | check | {' | '.join(SITUATIONS)} |"
RULE = f"| {' | '.join(['---'] * (len(SITUATIONS) + 2))} |"
FAILED = "**failed**"

Cells = Mapping[str, Sequence[str]]
"""Kind of check → a cell for each situation."""


def rows_of(version: str, cells: Cells) -> list[str]:
    """Return the rows of one version as Markdown."""
    return [f"| {' | '.join([version, kind, *texts])} |" for kind, texts in cells.items()]


def with_rows(page: str, version: str, cells: Cells) -> str:
    """Return the page with these rows instead of earlier ones of the same version and kinds, in order."""
    top, found, rest = page.partition(f"{HEAD}\n{RULE}\n")
    if not found:
        raise ValueError(f"{PAGE} has no table with the columns {HEAD}")
    table, _, bottom = rest.partition("\n\n")
    new = {_sort_key(line): line for line in [*table.splitlines(), *rows_of(version, cells)]}
    return f"{top}{found}" + "\n".join(new[key] for key in sorted(new)) + f"\n\n{bottom.lstrip(chr(10))}"


def write(version: str, cells: Cells, page: Path = PAGE) -> None:
    """Write the rows of one version into the page."""
    page.write_text(with_rows(page.read_text(encoding="utf-8"), version, cells), encoding="utf-8")


def _sort_key(line: str) -> tuple[tuple[int, ...], int]:
    version, kind = line.strip("| ").split(" | ")[:2]
    numbers = tuple(int(part) for part in re.findall(r"\d+", version))
    return numbers, [one.name for one in KINDS].index(kind)
