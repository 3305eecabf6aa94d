"""Requests that pages of other sites make a browser send to the companion node."""

import json

import pytest

from tests.node.conftest import FakeComfyUI

STARTED = "未查询到缓存a，已经自动在后台执行缓存模型工作流。"
HOST = "comfyui.example:8188"


@pytest.fixture
def starting(comfyui: FakeComfyUI, monkeypatch: pytest.MonkeyPatch) -> FakeComfyUI:
    """A fake ComfyUI with automatic starts enabled and a workflow to start."""
    monkeypatch.setenv("COMFYWARM_AUTO_START", "1")
    comfyui.add_workflow("cache", "a")
    return comfyui


FOREIGN = [
    *(
        {"Sec-Fetch-Site": site}
        for site in ("cross-site", "same-site", "Cross-Site", "none, cross-site", "", "x" * 5_000)
    ),
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    *(
        {"Origin": origin}
        for origin in (
            "null",
            "",
            "http://evil.example",
            "http://comfyui.example",
            "http://comfyui.example:8189",
            "https://comfyui.example",
            "http://comfyui.example:8188.evil.example",
            "http://comfyui.example:8188@evil.example",
            "http://evil.example/comfyui.example:8188",
            "http://comfyui.example:99999",
            "http://[",
            "file://comfyui.example:8188",
            "comfyui.example:8188",
        )
    ),
]


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: ",".join(headers.values())[:40] or "empty")
async def test_request_of_foreign_page_is_refused_and_starts_nothing(
    starting: FakeComfyUI, headers: dict[str, str]
) -> None:
    for query in ("", "?key=a", "?peek=1", "?workflow=../x"):
        status, body = await starting.check(query, Host=HOST, **headers)
        assert status == 403
        assert "a page of another site sent this request" in json.loads(body)["error"]
        assert len(body) < 400
    assert not starting.server.prompt_queue.pending
    assert not starting.frames


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
        {"Origin": f"http://{HOST}"},
        {"Origin": f"HTTP://{HOST.upper()}"},
        {"Origin": "https://comfyui.example", "Host": "comfyui.example"},
        {"Origin": "http://comfyui.example", "Host": "comfyui.example:80"},
        {"Origin": "http://[::1]:8188", "Host": "[::1]:8188"},
        {"User-Agent": "comfywarm", "Accept": "*/*"},
    ],
    ids=str,
)
async def test_request_of_own_page_or_program_is_answered(starting: FakeComfyUI, headers: dict[str, str]) -> None:
    assert await starting.check("", **{"Host": HOST, **headers}) == (200, STARTED)
    assert len(starting.server.prompt_queue.pending) == 1


async def test_several_origins_or_hosts_are_refused(starting: FakeComfyUI) -> None:
    own, foreign = ("Origin", f"http://{HOST}"), ("Origin", "http://evil.example")
    for headers in ([("Host", HOST), own, foreign], [("Host", HOST), foreign, own]):
        async with starting.http.get("/cache/check", headers=headers) as response:
            assert response.status == 403
    async with starting.http.head("/cache/check", headers={"Sec-Fetch-Site": "cross-site"}) as response:
        assert response.status == 403
    assert not starting.server.prompt_queue.pending
