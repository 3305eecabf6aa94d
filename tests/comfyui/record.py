"""Record what a real ComfyUI answers in every scenario: `python -m tests.comfyui.record`.

Writes `tests/transcripts/VERSION/NAME.jsonl` for the ComfyUI that the tests use (see `install.py`).
"""

import asyncio
import tempfile
from pathlib import Path

from statemachine.simulator.nodes import CACHE_KEYS
from tests.comfyui.install import expected
from tests.comfyui.rig import CheckMode, Rig, cache_workflow
from tests.scenarios import WITH_COMPANION, play, play_all, play_edge_cases
from tests.transcript import Line, write


async def record(folder: Path) -> dict[str, list[Line]]:
    """Play every scenario on fresh servers and return the transcripts by name."""
    rig = Rig(folder)
    flow = cache_workflow(*CACHE_KEYS)
    plain, edge = (rig.server(check_mode=CheckMode.NONE, workflow=flow) for _ in range(2))
    node = rig.server(check_mode=CheckMode.NONE, workflow=flow, node=True)
    try:
        await rig.start_all()
        transcripts = await play_all(plain.url) | await play_edge_cases(edge.url)
        for name in WITH_COMPANION:
            transcripts[name] = await play(name, node.url)
    finally:
        rig.end()
    return transcripts


def main() -> None:
    """Record the installed version."""
    with tempfile.TemporaryDirectory() as folder:
        transcripts = asyncio.run(record(Path(folder)))
    for name, lines in transcripts.items():
        write(expected().version, name, lines)
    print(f"recorded {len(transcripts)} scenarios of ComfyUI {expected().version}")


if __name__ == "__main__":
    main()
