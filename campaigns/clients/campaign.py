"""Runs the programs through a gateway, some times at once, and looks at their pictures."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from campaigns.gateway.processes import GatewayProcess, daemon_over
from campaigns.gateway.real import real_fleet
from tests.comfyui.pictures import Colour, colour_of, inverted, is_close, picture
from tests.comfyui.public_clients import ClientError, install, output_of

SCRIPTS_DIR = Path(__file__).parent / "programs"
SCRIPTS: Mapping[str, str] = {
    "comfy-cli": "cli.py",
    "comfy-api-simplified": "api_simplified.py",
    "comfy-script": "script.py",
    "comfy-sdk": "sdk.py",
}
"""The script that uses each program."""
SHOWN = 1500
"""Characters of a program's messages."""


@dataclass
class Report:
    """The programs that are missing, with the reason, and the problems of each run."""

    missing: dict[str, str] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


async def campaign(folder: Path, programs: Sequence[str], times: int) -> Report:
    """Run each program `times` times at once. Raises InstallError if ComfyUI is not installed."""
    report = Report()
    usable = [one for one in programs if _is_installed(one, report)]
    async with _gateway(folder) as address:
        runs = [
            _run(one, address, folder / f"{one}-{number}", (10 * number + 1, 40 * at + number, 7))
            for at, one in enumerate(usable)
            for number in range(times)
        ]
        report.problems = [problem for problem in await asyncio.gather(*runs) if problem]
    report.runs = dict.fromkeys(usable, times)
    return report


@asynccontextmanager
async def _gateway(folder: Path) -> AsyncIterator[str]:
    """Run servers, a daemon and a gateway; yield the gateway's address."""
    async with (
        real_fleet(folder) as fleet,
        daemon_over(folder / "daemon", fleet).running() as daemon,
        GatewayProcess(folder / "gateway", fleet.urls, daemon.port).running() as gateway,
    ):
        yield gateway.address


def _is_installed(program: str, report: Report) -> bool:
    """Install a program; note why, if that is not possible."""
    try:
        install(program)
    except ClientError as error:
        report.missing[program] = str(error)[-SHOWN:]
    return program not in report.missing


def _prepare(folder: Path, colour: Colour) -> Path:
    """Write the graph and the picture; return the picture. Equal names would mean the latest upload of all programs."""
    file = folder / f"{folder.name}.png"
    folder.mkdir()
    file.write_bytes(picture(colour))
    (folder / "invert.json").write_text(json.dumps(_graph(file.name)), encoding="utf-8")
    return file


def _graph(image: str) -> dict[str, object]:
    saving = {"images": ["2", 0], "filename_prefix": "ComfyUI"}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}, "_meta": {"title": "Load Image"}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}, "_meta": {"title": "Invert"}},
        "3": {"class_type": "SaveImage", "inputs": saving, "_meta": {"title": "Save Image"}},
    }


async def _run(program: str, url: str, folder: Path, colour: Colour) -> str:
    """Run a program once in this folder; return what is wrong, an empty text if nothing is."""
    file = _prepare(folder, colour)
    script = str(SCRIPTS_DIR / SCRIPTS[program])
    try:
        await output_of(program, ["python", script, url, str(folder), str(file)], folder)
    except ClientError as error:
        return f"{folder.name}: {str(error)[-SHOWN:]}"
    found = colour_of((folder / "result.png").read_bytes())
    return "" if is_close(found, inverted(colour)) else f"{folder.name}: {colour} became {found}"
