"""The companion node's metadata for the ComfyUI registry."""

import ast
import re
import tomllib
from typing import Any

from tests.support.paths import REPOSITORY

RELEASES = ("comfyui_node/check.py", "statemachine/simulator/companion.py")


def metadata(path: str) -> Any:
    return tomllib.loads((REPOSITORY / path).read_text(encoding="utf-8"))


def test_node_has_the_version_of_comfywarm() -> None:
    node, whole = metadata("comfyui_node/pyproject.toml"), metadata("pyproject.toml")
    assert node["project"]["version"] == whole["project"]["version"]
    for path in RELEASES:
        assert f'\nRELEASE = "{whole["project"]["version"]}"\n' in (REPOSITORY / path).read_text("utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+", node["project"]["version"])


def test_node_has_what_the_registry_requires() -> None:
    node = metadata("comfyui_node/pyproject.toml")
    assert re.fullmatch(r"[a-z](?:[._-]?[a-z0-9]){0,98}", node["project"]["name"])
    assert "comfyui" not in node["project"]["name"]
    assert node["project"]["license"].keys() <= {"text", "file"}
    assert node["project"]["description"]
    assert node["project"]["dependencies"] == []
    assert node["project"]["classifiers"] == ["Operating System :: OS Independent"]
    assert node["project"]["urls"]["Repository"]
    assert {"PublisherId", "DisplayName", "Icon"} <= node["tool"]["comfy"].keys()


def test_node_keeps_the_security_standards_of_the_registry() -> None:
    """No eval, no exec, no processes that install packages, nothing obfuscated."""
    for file in (REPOSITORY / "comfyui_node").glob("*.py"):
        tree = ast.walk(ast.parse(file.read_text("utf-8")))
        names = {getattr(node, "id", None) or getattr(node, "attr", None) for node in tree}
        assert not names & {"eval", "exec", "compile", "subprocess", "system", "popen", "b64decode", "marshal"}, (
            file.name
        )
        assert max(map(len, file.read_text("utf-8").splitlines())) <= 120
