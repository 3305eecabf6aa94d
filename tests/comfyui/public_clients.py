"""Public clients of ComfyUI, each in an environment of its own. Install them: `python -m tests.comfyui.public_clients`.

They are installed in the cache folder (see `install.py`), with the versions below. No part of comfywarm needs them.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.comfyui.install import HERE, cache_folder
from tests.comfyui.rig import HOST, RealServer
from tests.support.polling import wait_for
from tests.support.ports import free_port

SCRIPTS = HERE / "clients"
PACKAGES: Mapping[str, Sequence[str]] = {
    "comfy-cli": ("comfy-cli==1.23.0",),
    "comfy-api-simplified": ("comfy-api-simplified==1.6.0",),
    "comfy-script": ("comfy-script[runtime]==0.6.1", "requests==2.32.5"),
    "comfy-sdk": ("comfy-sdk==0.5.0", "comfy-api-proxy==0.1.6"),
}
RUN_S = 180.0
START_S = 30.0


class ClientError(Exception):
    """A client failed. The text is its output."""


def programs(client: str) -> Path:
    """Return the folder with the programs of an installed client, Python among them."""
    return cache_folder() / "clients" / client / "bin"


def is_installed(client: str) -> bool:
    """Return whether the client is installed with the versions above."""
    marker = programs(client).parent / "installed"
    return marker.exists() and marker.read_text(encoding="utf-8") == " ".join(PACKAGES[client])


@dataclass(frozen=True)
class Run:
    """Graphs in files that a client runs on a server; the pictures are written beside them."""

    server: RealServer
    folder: Path
    files: Sequence[Path]


async def with_cli(run: Run) -> None:
    """Run each graph with `comfy run`, and fetch the picture from the address that it reports."""
    for file in run.files:
        target = ["--host", HOST, "--port", str(run.server.port)]
        command = ["comfy", "--skip-prompt", "run", "--workflow", str(file), *target, "--wait", "--json"]
        events = [json.loads(line) for line in (await output_of("comfy-cli", command, run.folder)).splitlines()]
        (url,) = [event["url"] for event in events if event["type"] == "output"]
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            file.with_suffix(".png").write_bytes(await response.read())


async def with_simplified(run: Run) -> None:
    """Run the graphs with comfy-api-simplified."""
    command = ["python", str(SCRIPTS / "simplified.py"), run.server.url, *map(str, run.files)]
    await output_of("comfy-api-simplified", command, run.folder)


async def with_sdk(run: Run) -> None:
    """Run the graphs with comfy-sdk over a comfy-api-proxy of their own."""
    async with api_proxy(run) as url:
        await output_of("comfy-sdk", ["python", str(SCRIPTS / "sdk.py"), url, *map(str, run.files)], run.folder)


CLIENTS: Mapping[str, Callable[[Run], Awaitable[None]]] = {
    "comfy-cli": with_cli,
    "comfy-api-simplified": with_simplified,
    "comfy-sdk": with_sdk,
}


@asynccontextmanager
async def api_proxy(run: Run) -> AsyncIterator[str]:
    """Yield the URL of a comfy-api-proxy before the server."""
    port = free_port()
    process = await start(
        "comfy-sdk", ["comfy-api-proxy", "run", "--comfyui", run.server.url, "--port", str(port)], run.folder
    )
    try:
        await wait_for(lambda: is_up(f"http://{HOST}:{port}/api/v2/health"), timeout_s=START_S)
        yield f"http://{HOST}:{port}"
    finally:
        process.kill()
        await process.wait()


async def is_up(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def output_of(client: str, command: Sequence[str], folder: Path) -> str:
    """Return what a command of the client prints. Raises ClientError if it fails or takes too long."""
    process = await start(client, command, folder)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), RUN_S)
    except TimeoutError:
        process.kill()
        raise ClientError(f"{client}: no end within {RUN_S:g} s") from None
    if process.returncode != 0:
        raise ClientError(f"{client}: {output.decode(errors='replace')}")
    return output.decode()


async def start(client: str, command: Sequence[str], folder: Path) -> Process:
    """Start a program of the client, with a home folder of its own and no way to other machines."""
    program, *arguments = command
    nowhere = f"http://{HOST}:9"
    environment = {
        "HOME": str(folder),
        "PATH": f"{programs(client)}:/usr/bin:/bin",
        "DO_NOT_TRACK": "1",
        "COMFY_CLI_NO_REMOTE_REFRESH": "1",
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": HOST,
    }
    return await asyncio.create_subprocess_exec(
        programs(client) / program, *arguments, env=environment, cwd=folder, stdout=PIPE, stderr=STDOUT
    )


def install(client: str) -> None:
    """Install a client, unless these versions of it are installed. Raises ClientError."""
    folder, packages = programs(client).parent, PACKAGES[client]
    if is_installed(client):
        return
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]
    _run([*pip, *packages])
    (folder / "installed").write_text(" ".join(packages), encoding="utf-8")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClientError((done.stderr or done.stdout).strip())


def main() -> None:
    """Install every client that is not installed."""
    for client, packages in PACKAGES.items():
        install(client)
        print(f"{', '.join(packages)}: {programs(client).parent}")


if __name__ == "__main__":
    main()
