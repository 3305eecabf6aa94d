"""`node install` copies the companion node, renews it, and overwrites nothing else."""

import asyncio
from pathlib import Path

import pytest

from tests.cli.rig import Ended, cli
from tests.support.paths import REPOSITORY

FILES = {one.name for one in (REPOSITORY / "comfyui_node").iterdir() if one.name != "__pycache__"}


async def install(tmp_path: Path, folder: Path) -> Ended:
    return await cli(tmp_path / "none.json", "node", "install", str(folder))


@pytest.fixture
def comfyui(tmp_path: Path) -> Path:
    """Provide a folder of ComfyUI."""
    (tmp_path / "ComfyUI" / "custom_nodes").mkdir(parents=True)
    return tmp_path / "ComfyUI"


@pytest.mark.parametrize("inner", ["", "custom_nodes"])
async def test_node_install_copies_all_files(tmp_path: Path, comfyui: Path, inner: str) -> None:
    result = await install(tmp_path, comfyui / inner)
    target = comfyui / "custom_nodes" / "comfywarm"
    assert (result.exit_code, str(target) in result.stdout) == (0, True)
    assert {one.name for one in target.iterdir()} == FILES


async def test_node_install_renews_copy_and_keeps_workflows(tmp_path: Path, comfyui: Path) -> None:
    await install(tmp_path, comfyui)
    target = comfyui / "custom_nodes" / "comfywarm"
    (target / "old.py").write_text("")
    (target / "check.py").write_text("old")
    (target / "workflows").mkdir()
    (target / "workflows" / "own.json").write_text("{}")
    assert (await install(tmp_path, comfyui)).exit_code == 0
    assert {one.name for one in target.iterdir()} == FILES | {"workflows"}
    assert (target / "check.py").read_text() != "old"
    assert (target / "workflows" / "own.json").read_text() == "{}"
    assert [one.name for one in target.parent.iterdir()] == ["comfywarm"]


async def test_node_install_leaves_links_and_other_packs(tmp_path: Path, comfyui: Path) -> None:
    target = comfyui / "custom_nodes" / "comfywarm"
    target.mkdir()
    (target / "__init__.py").write_text("other")
    refused = await install(tmp_path, comfyui)
    assert (refused.exit_code, "not the companion node" in refused.stderr) == (1, True)
    assert (target / "__init__.py").read_text() == "other"
    target.rename(comfyui / "elsewhere")
    target.symlink_to(comfyui / "elsewhere")
    refused = await install(tmp_path, comfyui)
    assert (refused.exit_code, "is a link to" in refused.stderr) == (1, True)
    assert target.is_symlink()


def test_node_install_into_other_folder_is_refused(tmp_path: Path) -> None:
    refused = asyncio.run(install(tmp_path, tmp_path))
    assert (refused.exit_code, "no folder custom_nodes" in refused.stderr) == (1, True)
    assert not list(tmp_path.iterdir())
