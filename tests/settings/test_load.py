"""Loading settings from a file or from data, and its errors."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from statemachine.i18n.render import render
from statemachine.settings import Settings, SettingsError, load_settings, parse_settings, resolve_servers
from tests.settings.samples import BASE_DIR, CONTRACT_EXAMPLE, parse, problems
from tests.support.paths import REPOSITORY


def test_parse_settings_accepts_the_contract_example() -> None:
    settings = parse_settings(CONTRACT_EXAMPLE, BASE_DIR, {"COMFY_TOKEN": "t"})
    names = [server.name for server in resolve_servers(settings)]
    assert names[0] == "127.0.0.1:8188"
    assert names[1:8] == [f"192.0.2.{number}:8188" for number in range(144, 151)]
    assert names[8:] == [f"192.0.2.210:{port}" for port in (8188, 8288, 8388, 8488)]


def test_shipped_settings_use_only_loopback() -> None:
    servers = resolve_servers(load_settings(REPOSITORY / "settings.json", {}))
    assert {server.host for server in servers} == {"127.0.0.1"}


def test_load_settings_relative_paths_start_at_the_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real.json"
    target.write_text(json.dumps({"servers": ["http://h"], "data_dir": "/var/lib/x"}))
    (tmp_path / "settings.json").symlink_to(target)
    settings = load_settings(tmp_path / "settings.json", {})
    assert settings.workflows_dir == tmp_path / "workflows"
    assert settings.logging.file == tmp_path / "logs" / "comfywarm.log"
    assert settings.data_dir == Path("/var/lib/x")


def test_logging_file_null_is_accepted() -> None:
    assert parse(logging={"file": None}).logging.file is None


def test_load_settings_with_byte_order_mark_succeeds(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"servers": ["http://h"]}', encoding="utf-8-sig")
    assert len(load_settings(file, {}).servers) == 1


def test_load_settings_syntax_error_names_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{\n  "servers": [,]\n}')
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {})
    (problem,) = caught.value.problems
    assert problem.path.startswith(f"{file}:2:1")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"NaN", b"[" * 5000])
def test_load_settings_invalid_json_is_a_settings_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"settings\.json:\d+:\d+: found invalid JSON"):
        load_settings(file, {})


@pytest.mark.parametrize(
    ("encoding", "fault"), [("utf-16", "this file is UTF-16"), ("utf-16-le", "this file is UTF-16"), ("gbk", "GBK")]
)
def test_load_settings_in_another_encoding_names_it(tmp_path: Path, encoding: str, fault: str) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"servers": ["http://h"], "_": "缓存模型的服务器"}', encoding=encoding)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {})
    assert caught.value.problems[0].path == str(file)
    assert fault in str(caught.value)
    assert str(caught.value).endswith("; save it as UTF-8")
    assert caught.value.__context__ is None


def test_load_settings_without_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "none.json", {})
    remedy = "`comfywarm init` writes one, --settings FILE names another, `comfywarm serve --demo` needs none"
    assert str(caught.value) == f"{tmp_path / 'none.json'} not found; {remedy}"
    assert render(caught.value.message, "en") == f"{tmp_path / 'none.json'} not found"


def test_load_settings_with_unreadable_file_names_the_cause(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^cannot read .*: is a directory; `comfywarm init` writes one"):
        load_settings(tmp_path, {})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        parse().language = "zh"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("keys", "path", "fault", "remedy"),
    [
        ({"servers": []}, "servers", "a list of 0", "at least one server"),
        ({"servers": "http://h"}, "servers", "'http://h'", "a list"),
        ({"servers": [5]}, "servers[0]", "5", "a URL"),
        ({"servers": [{}]}, "servers[0].url", "required key is missing", "add it"),
        ({"servers": ["ftp://h"]}, "servers[0]", "'ftp://h'", "http://HOST"),
        ({"servers": [{"url": "ftp://h"}]}, "servers[0].url", "'ftp://h'", "http://HOST"),
        ({"servers": [{"url": "http://h", "nmae": 1}]}, "servers[0].nmae", "unknown key", '"name"'),
        (
            {"servers": ["http://h", {"url": "http://g", "cache_check": {"kind": "texts"}}]},
            "servers[1].cache_check.kind",
            "'texts'",
            "'auto', 'node', 'text', 'inspire', 'history'",
        ),
        ({"servers": [{"url": "http://h[1-2]", "name": "x"}]}, "servers[0].name", "2 servers", "one server"),
        ({"servers": [{"url": "http://h", "name": "a/b"}]}, "servers[0].name", "'a/b'", "without /"),
        ({"servers": [{"url": "http://h", "headers": {"a b": "c"}}]}, "servers[0].headers['a b']", "name", "ASCII"),
        ({"servers": [{"url": "http://h", "headers": {"A": "b", "a": "c"}}]}, "servers[0].headers", "", "once"),
        ({"servers": ["http://h[1-15000]", "http://g[1-5001]"]}, "servers", "20001 servers", "at most 20000"),
        ({"timing": {"check_intervall_s": 5}}, "timing.check_intervall_s", "unknown key", '"check_interval_s"'),
        ({"timing": {"retry_s": "2"}}, "timing.retry_s", "'2'", "a number"),
        ({"timing": {"retry_s": True}}, "timing.retry_s", "true", "a number"),
        ({"timing": {"retry_s": float("nan")}}, "timing.retry_s", "nan", "finite"),
        ({"timing": {"busy_wait_s": -1}}, "timing.busy_wait_s", "-1", "at least 0"),
        ({"limits": {"max_warming": 0}}, "limits.max_warming", "0", "at least 1"),
        ({"limits": {"max_checks": 1.5}}, "limits.max_checks", "1.5", "a whole number"),
        ({"limits": {"max_checks": 10**5000}}, "limits.max_checks", "very large", "at most"),
        ({"limits": None}, "limits", "null", "an object"),
        ({"reachability": {"rise": 0}}, "reachability.rise", "0", "at least 1"),
        ({"listen": {"port": 70000}}, "listen.port", "70000", "at most 65535"),
        ({"listen": {"host": "[::1]"}}, "listen.host", "'[::1]'", "without brackets"),
        ({"listen": {"token": ""}}, "listen.token", "secret", "not empty"),
        ({"language": "fr"}, "language", "'fr'", "one of 'en', 'zh'"),
        ({"when_busy_too_long": "kill"}, "when_busy_too_long", "'kill'", "'submit', 'front'"),
        ({"workflows": ["a.json"]}, "workflows[0]", "'a.json'", 'without ".json"'),
        ({"workflows": ["../a"]}, "workflows[0]", "'../a'", "dot"),
        ({"workflows": ["a/b"]}, "workflows[0]", "'a/b'", "without /"),
        ({"workflows": ["a", "a"]}, "workflows", "a list of 2", "once"),
        ({"workflows": []}, "workflows", "a list of 0", "at least one"),
        ({"cache_check": {"path": "cache"}}, "cache_check.path", "'cache'", "starts with one /"),
        ({"cache_check": {"path": "/inspire/cache/clear?a=b"}}, "cache_check.path", "clear", "a read-only route"),
        ({"cache_check": {"path": "/inspire/cache/remove/"}}, "cache_check.path", "remove", "a read-only route"),
        ({"data_dir": ""}, "data_dir", "''", "a path"),
        ({"data_dir": "a\0b"}, "data_dir", "'a\\x00b'", "printable"),
        ({"logging": {"level": "info"}}, "logging.level", "'info'", "'INFO'"),
        ({"logging": {"rotation": "20"}}, "logging.rotation", "'20'", '"20 MB"'),
        ({"journal": {"max_age_days": 0}}, "journal.max_age_days", "0", "at least 1"),
        ({"remedies": {}}, "remedies", "unknown key", "servers"),
    ],
)
def test_parse_settings_invalid_value_names_path_fault_and_remedy(
    keys: dict[str, object], path: str, fault: str, remedy: str
) -> None:
    (problem,) = problems(**keys).values()
    assert problem.path == path
    assert fault in render(problem.fault, "en")
    assert remedy in render(problem.remedy, "en")


PYDANTIC_FAULTS: dict[str, dict[str, object]] = {
    "at most 253 characters": {"listen": {"hosts": ["a" * 300]}},
    "at most 8000 characters": {"servers": [{"url": "http://h", "headers": {"a": "x" * 9000}}]},
    "at most 100 items": {"workflows": [f"w{number}" for number in range(200)]},
    "text that is not empty": {"servers": [{"url": "http://h", "group": ""}]},
    "text that can be encoded in UTF-8": {"servers": [{"url": "http://\ud800"}]},
    "true or false": {"fast_frames": "perhaps"},
    "text": {"logging": {"rotation": 3}},
}


@pytest.mark.parametrize("allowed", PYDANTIC_FAULTS)
def test_parse_settings_generic_fault_is_described_plainly(allowed: str) -> None:
    (problem,) = problems(**PYDANTIC_FAULTS[allowed]).values()
    assert str(problem).endswith(f"; allowed: {allowed}")


def test_settings_error_text_is_in_the_readers_language() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(language="fr", timing={"retry_sec": 1})
    assert caught.value.text("zh").splitlines() == [
        "设置有 2 处错误：",
        "  - language：实际为 'fr'；允许：以下之一：'en'、'zh'",
        "  - timing.retry_sec：未知的键；是否指“retry_s”？",
    ]


@pytest.mark.parametrize("data", [None, [], "x", 5, True])
def test_parse_settings_not_an_object_is_refused(data: object) -> None:
    with pytest.raises(SettingsError, match=r"\(the whole file\): found .*; allowed: an object"):
        parse_settings(data, BASE_DIR, {})


def test_settings_error_lists_all_problems() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(language="fr", limits={"max_warming": 0})
    assert str(caught.value).splitlines() == [
        "the settings have 2 problems:",
        "  - language: found 'fr'; allowed: one of 'en', 'zh'",
        "  - limits.max_warming: found 0; allowed: at least 1",
    ]


def test_settings_error_list_is_bounded() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(servers=["x"] * 1000)
    assert len(caught.value.problems) == 1000
    assert str(caught.value).splitlines()[-1] == "  … and 950 more"


def test_duplicate_server_names_both_entries() -> None:
    found = problems(servers=["http://h:80", "http://192.0.2.[1-9]", {"url": "HTTP://H/"}, "http://192.0.2.[5-20]"])
    assert set(found) == {"servers[2].url", "servers[3]"}
    assert "servers[0]" in str(found["servers[2].url"])
    assert "servers[1]" in str(found["servers[3]"])


def test_duplicate_name_names_both_entries() -> None:
    found = problems(servers=["http://h:81", {"url": "http://g", "name": "h:81"}, "https://h:81"])
    assert set(found) == {"servers[1].name", "servers[2]"}
    assert all("which servers[0] also has" in str(problem) for problem in found.values())


KEYS = st.sampled_from(
    [
        *(field.alias or name for name, field in Settings.model_fields.items()),
        "url",
        "headers",
        "kind",
        "port",
        "retry_s",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["${A}", "http://h[1-2]"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | KEYS, inner, max_size=4),
    max_leaves=20,
)


def assert_settings_or_settings_error(data: object) -> None:
    text = ""
    try:
        servers = resolve_servers(parse_settings(data, BASE_DIR, {"A": "a"}))
    except SettingsError as error:
        servers, text = (), str(error)
    assert servers or re.search(r"(?m)^  - .+: .+; .+$", text)


@given(JSON | st.dictionaries(KEYS, JSON))
def test_parse_settings_any_json_raises_only_settings_error(data: object) -> None:
    assert_settings_or_settings_error(data)


@given(st.data())
def test_parse_settings_mutated_example_raises_only_settings_error(data: st.DataObject) -> None:
    example = json.loads(json.dumps(CONTRACT_EXAMPLE).replace("COMFY_TOKEN", "A"))
    holder = data.draw(st.sampled_from([example, *(example[key] for key in ("listen", "timing", "servers", "limits"))]))
    holder = data.draw(st.sampled_from([holder, example["servers"][2], example["servers"][2]["headers"]]))
    places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    holder[data.draw(st.sampled_from(places))] = data.draw(JSON)
    assert_settings_or_settings_error(example)


@given(st.text(alphabet="http://[]-:0129.ag@?#%\n ${}A", max_size=30))
def test_parse_settings_any_url_raises_only_settings_error(tail: str) -> None:
    assert_settings_or_settings_error({"servers": [f"http://{tail}"]})
