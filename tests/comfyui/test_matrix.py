"""The measurement of the installed ComfyUI, for the kind of check that needs no plug-in."""

from pathlib import Path

import pytest

from tests.comfyui.matrix.kinds import KINDS
from tests.comfyui.matrix.measurement import Measurement
from tests.comfyui.matrix.table import FAILED, SITUATIONS


@pytest.mark.timeout(180)
async def test_matrix_row_of_history_is_right(tmp_path: Path) -> None:
    (history,) = [kind for kind in KINDS if kind.name == "history"]
    cells = await Measurement(tmp_path).row(history)
    assert len(cells) == len(SITUATIONS)
    assert FAILED not in str(cells)
