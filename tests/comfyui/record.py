"""Record what a real ComfyUI answers in every scenario, or in those named: `python -m tests.comfyui.record [NAME …]`.

Writes `tests/transcripts/VERSION/NAME.jsonl` for the ComfyUI that the tests use (see `install.py`).
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from statemachine.simulator.nodes import CACHE_KEYS
from tests.comfyui.install import expected
from tests.comfyui.rig import CheckMode, Rig, cache_workflow
from tests.scenarios import WITH_COMPANION, play, play_all, play_edge_cases
from tests.transcript import Line, write

FLOW = cache_workflow(*CACHE_KEYS)


async def record(folder: Path) -> dict[str, list[Line]]:
    """Play every scenario on fresh servers and return the transcripts by name."""
    rig = Rig(folder)
    plain, edge = (rig.server(check_mode=CheckMode.NONE, workflow=FLOW) for _ in range(2))
    try:
        await rig.start_all()
        transcripts = await play_all(plain.url) | await play_edge_cases(edge.url)
    finally:
        rig.end()
    return transcripts | await record_named(folder, WITH_COMPANION)


async def record_named(folder: Path, names: Iterable[str]) -> dict[str, list[Line]]:
    """Play these scenarios on one server and return the transcripts by name."""
    rig = Rig(folder)
    server = rig.server(check_mode=CheckMode.NONE, workflow=FLOW, node=any(name in WITH_COMPANION for name in names))
    try:
        await server.start()
        return {name: await play(name, server.url) for name in names}
    finally:
        rig.end()


def main() -> None:
    """Record the installed version."""
    names = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        recording = record_named(Path(folder), names) if names else record(Path(folder))
        transcripts = asyncio.run(recording)
    for name, lines in transcripts.items():
        write(expected().version, name, lines)
    print(f"recorded {len(transcripts)} scenarios of ComfyUI {expected().version}")


if __name__ == "__main__":
    main()
