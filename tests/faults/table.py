"""Read the tables of docs/faults.md: what the operator sees for each test of this folder.

A row ends with its tests, `test_file.py::test_name[case, another-case]`. The column before it has the
state and the reason in backticks, the words of the message, the /ws error or the log between “ and ”, and notices as
notice `reason`.
"""

import re
from dataclasses import dataclass

from tests.support.doc_tables import table_rows
from tests.support.paths import DOCS

PAGE = DOCS / "faults.md"
TESTS = re.compile(r"`(test_\w+\.py::\w+)(?:\[(.+)\])?`")
NOTICE = re.compile(r"notice `(\w+)`")


@dataclass(frozen=True)
class Row:
    """One fault. `state` and `reason` are empty if the row expects no state of a server."""

    fault: str
    server_does: str
    state: str
    reason: str
    words: tuple[str, ...]
    notices: tuple[str, ...]
    tests: tuple[str, ...]


def rows() -> list[Row]:
    """Return the rows of all tables, in the page's order."""
    return [_row(*cells) for cells in table_rows(PAGE)]


def _row(fault: str, server_does: str, reads: str, tests: str) -> Row:
    notices = tuple(NOTICE.findall(reads))
    state, reason = [*re.findall(r"`(\w+)`", NOTICE.sub("", reads)), "", ""][:2]
    words = tuple(re.findall("“(.+?)”", reads))
    return Row(fault, server_does, state, reason, words, notices, _tests(tests))


def _tests(cell: str) -> tuple[str, ...]:
    found = TESTS.fullmatch(cell)
    assert found, f"the last column names no test: {cell}"
    name, cases = found.groups()
    return tuple(f"{name}[{case}]" for case in cases.split(", ")) if cases else (name,)
