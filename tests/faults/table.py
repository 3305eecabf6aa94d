"""Read the tables of docs/faults.md: what the operator sees for each test of this folder.

A row ends with the test's name within this folder, `test_file.py::test_name[case]`. The column before it has the state
and the reason in backticks, the words of the message, the /ws error or the log between “ and ”, and notices as
notice `reason`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
TEST = re.compile(r"`(test_\w+\.py::\S+)`")
NOTICE = re.compile(r"notice `(\w+)`")


@dataclass(frozen=True)
class Row:
    """One fault. `state` and `reason` are empty where no server is what goes wrong."""

    fault: str
    server_does: str
    state: str
    reason: str
    words: tuple[str, ...]
    notices: tuple[str, ...]
    test: str


def rows() -> list[Row]:
    """Every row of every table, in the page's order."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [_row(line) for line in lines if line.startswith("|") and TEST.search(line)]


def _row(line: str) -> Row:
    fault, server_does, reads, test = (cell.strip() for cell in line.strip("|").split(" | "))
    notices = tuple(NOTICE.findall(reads))
    state, reason = [*re.findall(r"`(\w+)`", NOTICE.sub("", reads)), "", ""][:2]
    words = tuple(re.findall("“(.+?)”", reads))
    found = TEST.fullmatch(test)
    assert found, f"the last column names no test: {test}"
    return Row(fault, server_does, state, reason, words, notices, found.group(1))
