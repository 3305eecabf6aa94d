"""The sources over real files and sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from statemachine.discovery import http_source
from statemachine.discovery.file_source import FileTargets
from statemachine.discovery.http_source import HttpTargets
from statemachine.discovery.source import SourceError
from tests.discovery.following import following
from tests.discovery.http_sd import HttpSd, http_sd
from tests.discovery.samples import with_sources
from tests.support.polling import PATIENCE_S
from tests.support.ports import free_port


def groups(*addresses: str) -> list[dict[str, Any]]:
    return [{"targets": list(addresses), "labels": {"zone": "a"}}]


async def test_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    path.write_text(json.dumps(groups("gpu1:8188")))
    async with following(FileTargets(path, "http")) as reports:
        assert await reports.next() == ["gpu1:8188"]
        path.write_text(json.dumps(groups("gpu1:8188", "gpu2:8188")))
        assert await reports.next() == ["gpu1:8188", "gpu2:8188"]
        fresh = tmp_path / "fresh"
        fresh.write_text(json.dumps(groups("gpu3:8188")))
        fresh.replace(path)
        assert await reports.next() == ["gpu3:8188"]


async def test_file_behind_a_link_is_read_again_when_the_link_moves(tmp_path: Path) -> None:
    for name, address in (("one", "gpu1:8188"), ("two", "gpu2:8188")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "targets.json").write_text(json.dumps(groups(address)))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "targets.json").symlink_to("..data/targets.json")
    async with following(FileTargets(tmp_path / "targets.json", "http")) as reports:
        assert await reports.next() == ["gpu1:8188"]
        (tmp_path / "..new").symlink_to("two")
        (tmp_path / "..new").replace(tmp_path / "..data")
        assert await reports.next() == ["gpu2:8188"]


@pytest.mark.parametrize("before", [None, "[{]"])
async def test_failed_file_that_changes_is_worth_reading(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "targets.json"
    if before is not None:
        path.write_text(before)
    source = FileTargets(path, "http")
    with pytest.raises(SourceError):
        await source.run(lambda _: None)
    changed = asyncio.ensure_future(source.changed())
    await asyncio.sleep(0)
    path.write_text(json.dumps(groups("gpu1:8188")))
    async with asyncio.timeout(PATIENCE_S):
        await changed


async def test_removed_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    path.write_text(json.dumps(groups("gpu1:8188")))
    async with following(FileTargets(path, "http")) as reports:
        assert await reports.next() == ["gpu1:8188"]
        path.unlink()
        with pytest.raises(SourceError, match="no such file"):
            await reports.next()


async def test_yaml_file_has_the_same_format(tmp_path: Path) -> None:
    path = tmp_path / "targets.yml"
    path.write_text(yaml.safe_dump(groups("gpu1:8188", "gpu2:8188")))
    async with following(FileTargets(path, "http")) as reports:
        assert await reports.next() == ["gpu1:8188", "gpu2:8188"]


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("targets.json", None, "no such file or directory"),
        ("targets.json", "[{]", "invalid JSON: "),
        ("targets.json", '{"targets": []}', "not a list of objects"),
        ("targets.yml", "a: [", "invalid YAML: "),
        ("targets.yml", "!!python/object/apply:os.system ['true']", "invalid YAML: "),
    ],
)
async def test_unusable_file_is_an_error(tmp_path: Path, name: str, text: str | None, error: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    async with following(FileTargets(tmp_path / name, "http")) as reports:
        with pytest.raises(SourceError, match=error):
            await reports.next()


def source_of(url: str, **keys: object) -> HttpTargets:
    (section,) = with_sources({"kind": "http", "name": "a", "url": url, "interval_s": 0.05, **keys}).discovery
    assert section.kind == "http"
    return HttpTargets(section, None)


@pytest.fixture(name="sd")
async def running_sd() -> AsyncIterator[HttpSd]:
    async with http_sd() as one:
        yield one


async def test_http_source_is_asked_again_with_its_token(sd: HttpSd) -> None:
    sd.answer = groups("gpu1:8188")
    async with following(source_of(sd.url, token="geheim-token")) as reports:
        assert await reports.next() == ["gpu1:8188"]
        assert sd.headers["Authorization"] == "Bearer geheim-token"
        sd.answer = groups("gpu2:8188")
        while await reports.next() != ["gpu2:8188"]:
            assert sd.asked < 100


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (500, [], "HTTP status 500"),
        (302, [], "HTTP status 302"),
        (200, b"<html>", "invalid JSON"),
        (200, {"targets": []}, "not a list of objects"),
    ],
)
async def test_unusable_answer_is_an_error(sd: HttpSd, status: int, answer: Any, error: str) -> None:
    sd.status, sd.answer = status, answer
    async with following(source_of(sd.url)) as reports:
        with pytest.raises(SourceError, match=error):
            await reports.next()


async def test_large_answer_is_an_error(sd: HttpSd) -> None:
    sd.answer = b" " * (http_source.MAX_BYTES + 1)
    async with following(source_of(sd.url)) as reports:
        with pytest.raises(SourceError, match="larger than"):
            await reports.next()


async def test_error_hides_the_secrets_of_the_url() -> None:
    url = f"http://127.0.0.1:{free_port()}/sd?key=geheim-schluessel"
    async with following(source_of(url, token="geheim-token")) as reports:
        with pytest.raises(SourceError) as caught:
            await reports.next()
    assert "geheim" not in str(caught.value)
