"""Each promise of docs/security.md has a row in its table of tests, and each test of the table exists."""

import ast
import re
from functools import cache

import pytest

from tests.support.doc_tables import table_rows
from tests.support.paths import DOCS, REPOSITORY

PAGE = DOCS / "security.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ROWS = table_rows(PAGE, "## Promises and their tests")


@cache
def defined(file: str) -> frozenset[str]:
    """Return the names of the tests in a file of the repository."""
    tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions)


def protections() -> str:
    return PAGE.read_text(encoding="utf-8").partition("\n## Protections\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_promise_names_existing_tests(row: tuple[str, ...]) -> None:
    _, _, tests = row
    assert not TEST.sub("", tests).strip(), "the last column has something else than `path::test_name`"
    found = TEST.findall(tests)
    assert found
    assert [f"{file}::{name}" for file, name in found if name not in defined(file)] == []


def test_every_section_and_bold_beginning_has_a_promise() -> None:
    sections = re.findall(r"^### (.+)$", protections(), re.MULTILINE)
    assert {row[0] for row in ROWS} == set(sections)
    leads = re.findall(r"^\* \*\*(.+?)\.?\*\*", protections(), re.MULTILINE)
    assert [lead for lead in leads if not any(row[1].startswith(lead) for row in ROWS)] == []


def test_every_attack_has_a_promise() -> None:
    attacks = [row[0] for row in table_rows(PAGE, "### Untrusted ComfyUI servers")]
    promised = {row[1] for row in ROWS if row[0] == "Untrusted ComfyUI servers"}
    assert attacks
    assert set(attacks) <= promised
