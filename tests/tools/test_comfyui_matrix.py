"""The tool that measures ComfyUI versions: its messages and its table."""

from pathlib import Path

import pytest

from tests.comfyui.matrix.__main__ import parsed
from tests.comfyui.matrix.kinds import KINDS
from tests.comfyui.matrix.table import FAILED, HEAD, PAGE, RULE, SITUATIONS, with_rows
from tests.support.doc_tables import table_rows
from tests.support.paths import REPOSITORY

SEEN = ["seen"] * len(SITUATIONS)
PAGE_BEFORE = f"text\n\n{HEAD}\n{RULE}\n| 0.12.3 | text | {' | '.join(SEEN)} |\n\n## Next\n"


def test_table_has_every_recorded_version_and_kind_without_failure() -> None:
    """Each version that has recordings was measured, and every cell was right."""
    versions = [folder.name for folder in (REPOSITORY / "tests" / "transcripts").iterdir() if folder.is_dir()]
    rows = table_rows(PAGE, "### Measured")
    assert sorted(row[:2] for row in rows) == sorted((version, kind.name) for version in versions for kind in KINDS)
    assert FAILED not in str(rows)


def test_with_rows_sorts_by_version_and_replaces_earlier_rows() -> None:
    page = with_rows(PAGE_BEFORE, "0.2.2", {"history": SEEN, "node": SEEN})
    page = with_rows(page, "0.12.3", {"text": ["again"] * len(SITUATIONS)})
    assert page.startswith(f"text\n\n{HEAD}\n{RULE}\n")
    assert page.endswith(" again |\n\n## Next\n")
    lines = [line.split(" | ")[:2] for line in page.splitlines() if line.startswith("| 0")]
    assert lines == [["| 0.2.2", "node"], ["| 0.2.2", "history"], ["| 0.12.3", "text"]]


def test_with_rows_page_without_table_names_columns() -> None:
    with pytest.raises(ValueError, match="no table with the columns"):
        with_rows("text", "0.2.2", {"node": SEEN})


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ([], "has no main.py; give the folder of a checkout of ComfyUI"),
        (["--inspire"], "has no inspire/backend_support.py; give the folder of a checkout of ltdrdata"),
    ],
)
def test_options_other_folder_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        parsed([*option, str(tmp_path)])
    assert message in capsys.readouterr().err
