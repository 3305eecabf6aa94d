"""The settings under which daemons meet."""

from pathlib import Path
from typing import Any

import pytest

from statemachine.daemon.config import AT_START_ONLY
from statemachine.settings import Settings, SettingsError, parse_settings
from statemachine.settings.masking import secrets_in

URL = "nats://192.0.2.1:4222"


def cluster(folder: Path, env: dict[str, str] | None = None, **keys: Any) -> Settings:
    whole = {"nats": [URL], "node": "one", **keys}
    return parse_settings({"servers": ["http://127.0.0.1:1"], "cluster": whole}, folder, env or {})


def test_there_is_none_unless_it_is_wanted(tmp_path: Path) -> None:
    assert parse_settings({"servers": ["http://127.0.0.1:1"]}, tmp_path, {}).cluster is None


def test_what_is_not_said_is_ordinary(tmp_path: Path) -> None:
    made = cluster(tmp_path).cluster
    assert made is not None
    assert (made.prefix, made.lease_s, made.replicas, made.credentials, made.tls.ca_file) == (
        "comfywarm",
        20,
        3,
        None,
        None,
    )


@pytest.mark.parametrize(
    "url",
    [URL, "tls://nats.example:4222", "nats://[2001:db8::1]:4222", "nats://user:p%40ss@192.0.2.1", "nats://token@h:1"],
)
def test_urls(tmp_path: Path, url: str) -> None:
    made = cluster(tmp_path, nats=[url]).cluster
    assert made is not None
    assert [one.get_secret_value() for one in made.nats] == [url]


WRONG = [
    ({"nats": []}, "cluster.nats", "at least one URL"),
    ({"nats": ["http://192.0.2.1"]}, "cluster.nats[0]", "nats://HOST:PORT"),
    ({"nats": [URL, "nats://"]}, "cluster.nats[1]", "nats://HOST:PORT"),
    ({"nats": ["nats://192.0.2.1/path"]}, "cluster.nats[0]", "nats://HOST:PORT"),
    ({"prefix": "Big"}, "cluster.prefix", "a small letter"),
    ({"prefix": "with.dot"}, "cluster.prefix", "a small letter"),
    ({"prefix": ""}, "cluster.prefix", "a small letter"),
    ({"lease_s": 0.5}, "cluster.lease_s", "1"),
    ({"lease_s": 301}, "cluster.lease_s", "300"),
    ({"lease_s": "10"}, "cluster.lease_s", "number"),
    ({"replicas": 2}, "cluster.replicas", "1, 3 or 5"),
    ({"node": ""}, "cluster.node", "1"),
    ({"nodes": "one"}, "cluster.nodes", "node"),
]


@pytest.mark.parametrize(("keys", "where", "instead"), WRONG)
def test_errors_say_where_and_what_instead(tmp_path: Path, keys: dict[str, Any], where: str, instead: str) -> None:
    with pytest.raises(SettingsError) as raised:
        cluster(tmp_path, **keys)
    text = str(raised.value)
    assert where in text
    assert instead in text


def test_a_wrong_url_is_not_shown_for_its_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        cluster(tmp_path, nats=["http://user:correct-horse@192.0.2.1"])
    assert "correct-horse" not in str(raised.value)


def test_without_a_name_there_is_no_node(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cluster\.node"):
        parse_settings({"servers": ["http://127.0.0.1:1"], "cluster": {"nats": [URL]}}, tmp_path, {})


def test_secrets_come_from_the_environment_and_are_known_as_secrets(tmp_path: Path) -> None:
    settings = cluster(tmp_path, {"NATS": "correct-horse"}, nats=["nats://user:${NATS}@192.0.2.1"])
    assert "nats://user:correct-horse@192.0.2.1" in {one.get_secret_value() for one in secrets_in(settings)}
    assert "correct-horse" not in repr(settings)


def test_files_are_found_from_the_settings_folder(tmp_path: Path) -> None:
    made = cluster(tmp_path, credentials="a/node.creds", tls={"ca_file": "ca.pem"}).cluster
    assert made is not None
    assert made.credentials == tmp_path / "a" / "node.creds"
    assert made.tls.ca_file == tmp_path / "ca.pem"


def test_where_daemons_meet_is_changed_by_the_next_start_only() -> None:
    assert "cluster" in AT_START_ONLY
