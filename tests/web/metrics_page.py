"""Parser of the tables of metrics in the docs."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import DOCS

PAGE = DOCS / "metrics.md"
NAME = re.compile(r"`((?:comfywarm|process)_\w+)`")


class Row(NamedTuple):
    """One metric: its type, and its labels without `le`."""

    kind: str
    labels: frozenset[str]


def documented(page: Path = PAGE) -> dict[str, Row]:
    """Return every metric that the page documents, by name."""
    rows = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        name = NAME.fullmatch(cells[1]) if len(cells) > 1 else None
        if name is not None:
            _, _, kind, labels, *_ = cells
            rows[name[1]] = Row(kind, frozenset(re.findall(r"`(\w+)`", labels)))
    return rows
