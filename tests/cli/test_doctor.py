"""`doctor` on simulated servers: its findings and advice. It submits nothing."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from statemachine.cli.diagnostics import examine
from statemachine.cli.findings import Finding
from statemachine.cli.server_handle import server_handle
from statemachine.comfyui.network import new_session, tls_contexts
from statemachine.comfyui.workflow import load_workflow
from statemachine.i18n.render import render
from statemachine.settings import load_settings, resolve_servers
from statemachine.simulator import PROFILES, Member, running_fleet
from statemachine.version import version
from tests.cli.rig import cli, write_settings
from tests.faults.proxy import FaultProxy, Responder
from tests.faults.responses import respond_with
from tests.support.paths import WORKFLOWS


@asynccontextmanager
async def simulated(profile: str) -> AsyncIterator[Member]:
    async with running_fleet([PROFILES[profile]], scale=0.05) as fleet:
        yield fleet.members[0]


@pytest.mark.parametrize(
    ("profile", "code", "expected"),
    [
        ("loaded", 0, ["✓ cache check text: everything is cached", "'缓存已加载。'", "✓ /ws works"]),
        ("cold", 0, ["version 0.3.75", "cache check text: missing pulid_eva_clip", "✓ a warm-up would be accepted"]),
        ("auto_executing", 0, ["! cache check text: missing pulid_eva_clip", "is loading by itself"]),
        ("inspire", 0, ["! the server has no text cache check at /cache/check", "✓ cache check inspire: "]),
        ("loaded", 0, ["✓ where the models are: level not observed, because the cache check text reports only keys"]),
        ("unloading", 0, ["✓ where the models are: pulid_eva_clip: ram, "]),
        ("unloading", 0, [f"✓ the companion node has release {version()}"]),
        ("missing_nodes", 1, ["✗ workflow cache_models: node class", "✗ a warm-up would fail"]),
        ("missing_models", 1, ["the server lacks BEN2_Base.pth", "✗ a warm-up would fail"]),
        ("stock", 1, ["! the server has no cache check inspire", "✓ cache check history: "]),
        ("unrecognisable", 1, ["✗ cache check text cannot be used", "correct cache_check.path", "✓ /ws works"]),
        ("locked", 1, ["requires credentials", '"headers"']),
        ("absent", 1, ["does not answer: connection refused", "--listen"]),
    ],
)
async def test_doctor_reports_findings_of_each_profile(
    tmp_path: Path, profile: str, code: int, expected: list[str]
) -> None:
    async with simulated(profile) as member:
        result = await cli(write_settings(tmp_path, servers=[member.url]), "doctor")
        assert not member.server.log, "something was submitted"
    assert result.exit_code == code, result.stdout
    for text in expected:
        assert text in result.stdout
    assert ("✗" in result.stdout) == bool(code)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("loaded", ["! the settings want models in memory; level not observed for pulid_eva_clip", "companion node"]),
        (
            "unloading",
            ["✓ cache check node: the models of pulid_eva_clip", "are below the level that the settings want"],
        ),
    ],
)
async def test_doctor_compares_levels_with_settings(tmp_path: Path, profile: str, expected: list[str]) -> None:
    wanted = [{"name": "cache_models", "warm": "vram"}]
    async with simulated(profile) as member:
        result = await cli(write_settings(tmp_path, servers=[member.url], workflows=wanted), "doctor")
    assert result.exit_code == 0, result.stdout
    for text in expected:
        assert text in result.stdout


async def test_doctor_warns_before_text_checks(tmp_path: Path) -> None:
    async with simulated("inspire") as member:
        warned = await cli(write_settings(tmp_path, servers=[member.url]), "doctor")
        check = {"kind": "inspire"}
        unwarned = await cli(write_settings(tmp_path, servers=[member.url], cache_check=check), "doctor")
    assert warned.stdout.splitlines()[0].startswith("  ! a text check")
    assert "text check" not in unwarned.stdout


async def test_doctor_unrecognised_answer_ends_the_checks(tmp_path: Path) -> None:
    async with simulated("unrecognisable") as member:
        result = await cli(write_settings(tmp_path, servers=[member.url]), "doctor")
    assert "inspire is" not in result.stdout
    assert "history answers" not in result.stdout


async def test_doctor_configured_kind_absent_is_bad(tmp_path: Path) -> None:
    async with simulated("inspire") as member:
        result = await cli(write_settings(tmp_path, servers=[member.url], cache_check={"kind": "text"}), "doctor")
    assert result.exit_code == 1
    assert "✗ the server has no cache check text (path /cache/check)" in result.stdout


async def test_doctor_url_without_settings_file_uses_defaults(tmp_path: Path) -> None:
    """The workflows directory beside the missing file does not exist either, so the bundled workflow is examined."""
    async with simulated("loaded") as member:
        result = await cli(tmp_path / "none.json", "doctor", member.name)
    assert "none.json not found; using the default settings" in result.stdout
    assert "✓ cache check text: everything" in result.stdout
    assert result.exit_code == 0


async def test_doctor_server_of_settings_uses_its_headers(tmp_path: Path) -> None:
    """A server is found by URL or name; other servers use the defaults."""
    async with simulated("locked") as locked, simulated("loaded") as other:
        headers = {"Authorization": f"Bearer {locked.server.profile.token}"}
        settings = write_settings(tmp_path, servers=[{"url": locked.url, "name": "studio", "headers": headers}])
        for given in ("studio", locked.url, f"{locked.url}/", other.url):
            result = await cli(settings, "doctor", given)
            assert result.exit_code == 0, result.stdout


async def test_doctor_workflow_in_ui_format_is_bad(tmp_path: Path) -> None:
    (tmp_path / "ui.json").write_text(json.dumps({"nodes": [], "links": []}), encoding="utf-8")
    async with simulated("loaded") as member:
        keys = {"servers": [member.url], "workflows_dir": ".", "workflows": ["ui"]}
        result = await cli(write_settings(tmp_path, **keys), "doctor")
    assert result.exit_code == 1
    assert "UI format" in result.stdout
    assert "Export (API)" in result.stdout


async def test_doctor_server_that_keeps_nothing_is_bad(tmp_path: Path) -> None:
    proxy = FaultProxy(PROFILES["stock"])
    stats = {"system": {"comfyui_version": "0.33.0", "argv": ["main.py", "--cache-none"]}, "devices": []}
    proxy.responders["GET /system_stats"] = respond_with(json.dumps(stats), content_type="application/json")
    async with proxy.listening():
        result = await cli(write_settings(tmp_path, servers=[proxy.url], cache_check={"kind": "history"}), "doctor")
    assert "✗ cache check history: cache check: the server keeps nothing between prompts (--cache-none" in result.stdout
    assert "nothing is submitted for these workflows" in result.stdout
    assert result.exit_code == 1


async def test_doctor_unexamined_class_is_named(tmp_path: Path) -> None:
    """A class whose description was not understood is neither missing nor present."""
    proxy = FaultProxy(PROFILES["cold"])
    proxy.responders["GET /object_info/PulidFluxModelLoader"] = respond_with("Internal Server Error", 500)
    async with proxy.listening():
        result = await cli(write_settings(tmp_path, servers=[proxy.url]), "doctor")
    assert (
        "! workflow cache_models: could not examine PulidFluxModelLoader: unexpected answer (HTTP 500" in result.stdout
    )
    assert "the server has its nodes and model files" not in result.stdout
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("route", "responder", "expected"),
    [
        (
            "GET /prompt",
            respond_with("no tunnel", 404),
            "does not answer: GET /prompt answers HTTP 404, so ComfyUI is not",
        ),
        ("GET /prompt", respond_with("error code: 1033", 530), "does not answer: a proxy answers HTTP 530"),
        ("GET /prompt", respond_with(b"", 302, Location="/users/sign_in"), "requires credentials: access denied"),
        ("GET /cache/check", respond_with(b"", 401, WWW_Authenticate="Bearer"), "the server asks for Bearer"),
        ("GET /ws", respond_with("error code: 1033", 530), "/ws: a proxy answers HTTP 530"),
    ],
)
async def test_doctor_names_status_of_proxy(tmp_path: Path, route: str, responder: Responder, expected: str) -> None:
    proxy = FaultProxy(PROFILES["loaded"])
    proxy.responders[route] = responder
    async with proxy.listening():
        result = await cli(write_settings(tmp_path, servers=[proxy.url]), "doctor")
    assert expected in " ".join(result.stdout.split())
    assert result.exit_code == 1


@pytest.mark.parametrize("route", ["GET /prompt", "GET /cache/check"])
async def test_doctor_sends_nothing_after_a_rate_limit(tmp_path: Path, route: str) -> None:
    proxy = FaultProxy(PROFILES["loaded"])
    proxy.responders[route] = respond_with("slow down", 429, Retry_After="60")
    async with proxy.listening():
        result = await cli(write_settings(tmp_path, servers=[proxy.url]), "doctor")
    assert "accepts no more requests now" in result.stdout
    assert "retry after 60 s" in result.stdout
    assert proxy.requests.keys() <= {"GET /prompt", "GET /system_stats", route}
    assert result.exit_code == 1


async def test_doctor_silent_websocket_is_bad(tmp_path: Path) -> None:
    async def silent(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "crystools.monitor", "data": {}})
        await socket.receive()
        return socket

    async def prompt(_request: web.Request) -> web.Response:
        return web.json_response({"exec_info": {"queue_remaining": 0}})

    application = web.Application()
    application.add_routes([web.get("/ws", silent), web.get("/prompt", prompt)])
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = write_settings(
        tmp_path, servers=[f"http://127.0.0.1:{runner.addresses[0][1]}"], timing={"http_timeout_s": 0.5}
    )
    result = await cli(settings, "doctor")
    await runner.cleanup()
    assert result.exit_code == 1
    assert "✗ /ws opens but sends nothing within 0.5 s" in result.stdout
    assert "! cannot read its version" in result.stdout


async def test_doctor_prints_servers_in_order(tmp_path: Path) -> None:
    profiles = [PROFILES[name] for name in ("slow", "loaded", "absent", "cold")]
    async with running_fleet(profiles, scale=0.05) as fleet:
        result = await cli(write_settings(tmp_path, servers=fleet.urls), "doctor")
    headings = [text for text in result.stdout.splitlines() if not text.startswith(" ")]
    assert headings == [member.name for member in fleet.members]


async def findings(profile: str, settings_file: Path) -> list[Finding]:
    async with simulated(profile) as member, new_session() as session:
        settings = load_settings(write_settings(settings_file.parent, servers=[member.url]), {})
        (server,) = resolve_servers(settings)
        workflow = load_workflow(WORKFLOWS / "cache_models.json")
        return await examine(
            server_handle(session, tls_contexts([server]), server, (workflow,), 5.0), {"cache_models": workflow}
        )


@pytest.mark.parametrize("profile", sorted(PROFILES))
async def test_examine_findings_have_chinese_texts(tmp_path: Path, profile: str) -> None:
    for finding in await findings(profile, tmp_path / "settings.json"):
        for what in (finding.what, finding.advice):
            assert what is None or render(what, "zh") != render(what, "en") != ""


async def test_doctor_output_is_in_the_settings_language(tmp_path: Path) -> None:
    async with simulated("loaded") as member:
        result = await cli(write_settings(tmp_path, servers=[member.url], language="zh"), "doctor")
    assert "全部已缓存" in result.stdout
    assert "/ws 正常" in result.stdout
    assert "answers" not in result.stdout


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({}, f"another release than comfywarm: an older release without a number instead of {version()}"),
        ({"release": "0.0.9"}, f"another release than comfywarm: 0.0.9 instead of {version()}"),
    ],
)
async def test_doctor_names_another_release_of_the_node(tmp_path: Path, named: dict[str, str], expected: str) -> None:
    keys = ["pulid_eva_clip", "pulid_face_analysis", "pulid_model", "ben2_base"]
    answer = {"comfywarm": 1, "instance": "a", "sequence": 1, "keys": {"present": keys, "missing": []}}
    proxy = FaultProxy(PROFILES["unloading"])
    body = json.dumps({**answer, **named, "loading": False, "auto_started": False})
    proxy.responders["GET /cache/check"] = respond_with(body, content_type="application/json")
    async with proxy.listening():
        result = await cli(write_settings(tmp_path, servers=[proxy.url]), "doctor")
    assert f"! the companion node has {expected}" in result.stdout
    assert "comfywarm node install DIR" in result.stdout
    assert result.exit_code == 0, result.stdout
