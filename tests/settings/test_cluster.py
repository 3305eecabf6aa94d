"""The section `cluster`."""

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


def test_cluster_is_none_by_default(tmp_path: Path) -> None:
    assert parse_settings({"servers": ["http://127.0.0.1:1"]}, tmp_path, {}).cluster is None


def test_cluster_optional_keys_have_defaults(tmp_path: Path) -> None:
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
def test_cluster_valid_nats_url_is_accepted(tmp_path: Path, url: str) -> None:
    made = cluster(tmp_path, nats=[url]).cluster
    assert made is not None
    assert [one.get_secret_value() for one in made.nats] == [url]


WRONG = [
    ({"nats": []}, "cluster.nats", "at least one URL"),
    ({"nats": ["http://192.0.2.1"]}, "cluster.nats[0]", "nats://HOST:PORT"),
    ({"nats": [URL, "nats://"]}, "cluster.nats[1]", "nats://HOST:PORT"),
    ({"nats": ["nats://192.0.2.1/path"]}, "cluster.nats[0]", "nats://HOST:PORT"),
    ({"prefix": "Big"}, "cluster.prefix", "a lowercase letter"),
    ({"prefix": "with.dot"}, "cluster.prefix", "a lowercase letter"),
    ({"prefix": ""}, "cluster.prefix", "a lowercase letter"),
    ({"lease_s": 0.5}, "cluster.lease_s", "1"),
    ({"lease_s": 301}, "cluster.lease_s", "300"),
    ({"lease_s": "10"}, "cluster.lease_s", "number"),
    ({"replicas": 2}, "cluster.replicas", "1, 3, 5"),
    ({"node": ""}, "cluster.node", "1"),
    ({"nodes": "one"}, "cluster.nodes", "node"),
]


@pytest.mark.parametrize(("keys", "path", "allowed"), WRONG)
def test_cluster_invalid_value_names_path_and_allowed(
    tmp_path: Path, keys: dict[str, Any], path: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        cluster(tmp_path, **keys)
    text = str(raised.value)
    assert path in text
    assert allowed in text


def test_cluster_invalid_url_hides_its_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        cluster(tmp_path, nats=["http://user:correct-horse@192.0.2.1"])
    assert "correct-horse" not in str(raised.value)


def test_cluster_without_node_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cluster\.node"):
        parse_settings({"servers": ["http://127.0.0.1:1"], "cluster": {"nats": [URL]}}, tmp_path, {})


def test_cluster_url_from_environment_is_a_secret(tmp_path: Path) -> None:
    settings = cluster(tmp_path, {"NATS": "correct-horse"}, nats=["nats://user:${NATS}@192.0.2.1"])
    assert "nats://user:correct-horse@192.0.2.1" in {one.get_secret_value() for one in secrets_in(settings)}
    assert "correct-horse" not in repr(settings)


def test_cluster_relative_files_start_at_settings_folder(tmp_path: Path) -> None:
    made = cluster(tmp_path, credentials="a/node.creds", tls={"ca_file": "ca.pem"}).cluster
    assert made is not None
    assert made.credentials == tmp_path / "a" / "node.creds"
    assert made.tls.ca_file == tmp_path / "ca.pem"


def test_cluster_changes_wait_for_a_restart() -> None:
    assert "cluster" in AT_START_ONLY
