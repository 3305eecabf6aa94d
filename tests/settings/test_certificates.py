"""Unusable certificate files are reported before anything starts, with the setting and the cause."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from statemachine.settings import SettingsError, parse_settings, resolve_servers
from statemachine.settings.tls import Tls
from tests.security.authority import Authority

URL = "https://127.0.0.1:8188"


def problems(folder: Path, **keys: Any) -> list[str]:
    try:
        parse_settings({"servers": [URL], **keys}, folder, {})
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder with valid and invalid files."""
    authority = Authority(tmp_path)
    authority.certify("warm.example.org")
    Authority(tmp_path, "other").certify("warm.example.org")
    own = (tmp_path / "private-ca.pem").read_text(encoding="ascii")
    (tmp_path / "wide.pem").write_text(own, encoding="utf-16")  # as PowerShell writes it
    (tmp_path / "no.pem").write_text("s3cret, not PEM", encoding="ascii")
    os.mkfifo(tmp_path / "pipe")
    locked = ["openssl", "ec", "-aes128", "-passout", "pass:abc", "-out", str(tmp_path / "locked.key")]
    subprocess.run([*locked, "-in", str(tmp_path / "private-warm.example.org.key")], check=True, capture_output=True)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("absent.pem", "no such file"),
        ("no.pem", "no certificate or crl found"),
        (".", "is a directory"),
        ("pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("wide.pem", "(this file is UTF-16)"),
        ("private-warm.example.org.key", "no certificate"),
    ],
)
def test_ca_file_unusable_names_setting_and_cause(files: Path, name: str, found: str) -> None:
    (common,) = problems(files, tls={"ca_file": name})
    assert common.startswith("tls.ca_file: found ")
    assert found in common
    assert "s3cret" not in common
    (own,) = problems(files, servers=[URL, {"url": "https://127.0.0.1:1", "tls": {"ca_file": name}}])
    assert own.startswith("servers[1].tls.ca_file: found ")


PAIRS = [
    ("private-warm.example.org.pem", "pipe", "listen.tls.key", "not a regular file"),
    ("pipe", "private-warm.example.org.key", "listen.tls.certificate", "not a regular file"),
    ("private-warm.example.org.pem", "other-warm.example.org.key", "listen.tls.key", "key values mismatch"),
    ("private-warm.example.org.pem", "absent.key", "listen.tls.key", "no such file"),
    ("private-warm.example.org.pem", "no.pem", "listen.tls.key", "not readable as PEM"),
    ("private-warm.example.org.pem", "wide.pem", "listen.tls.key", "this file is UTF-16"),
    ("wide.pem", "other-warm.example.org.key", "listen.tls.certificate", "this file is UTF-16"),
    ("private-warm.example.org.pem", "locked.key", "listen.tls.key", "without a passphrase"),
    ("absent.pem", "other-warm.example.org.key", "listen.tls.certificate", "no such file"),
    ("no.pem", "other-warm.example.org.key", "listen.tls.certificate", "no certificate"),
]


@pytest.mark.parametrize(("certificate", "key", "path", "cause"), PAIRS)
def test_listen_tls_unusable_pair_names_setting_and_cause(
    files: Path, certificate: str, key: str, path: str, cause: str
) -> None:
    (problem,) = problems(files, listen={"tls": {"certificate": certificate, "key": key}})
    assert problem.startswith(f"{path}: found ")
    assert cause in problem


def test_listen_tls_relative_path_starts_at_settings_folder(files: Path) -> None:
    pair = {"certificate": "private-warm.example.org.pem", "key": "private-warm.example.org.key"}
    settings = parse_settings({"servers": [URL], "listen": {"tls": pair}}, files, {})
    assert settings.listen.tls is not None
    assert settings.listen.tls.key == files / "private-warm.example.org.key"


def test_server_tls_replaces_the_top_level_section(files: Path) -> None:
    servers = [
        URL,
        {"url": "https://127.0.0.1:1", "tls": {"ca_file": "other-ca.pem"}},
        {"url": "https://127.0.0.1:2", "tls": {}},
    ]
    settings = parse_settings({"servers": servers, "tls": {"ca_file": "private-ca.pem"}}, files, {})
    assert [config.tls for config in resolve_servers(settings)] == [
        Tls(ca_file=files / "private-ca.pem"),
        Tls(ca_file=files / "other-ca.pem"),
        Tls(),
    ]


def test_tls_verify_is_an_unknown_key(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, tls={"verify": False})
    assert problem.startswith("tls.verify: unknown key")


def test_ca_file_from_environment_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"servers": [URL], "tls": {"ca_file": "${CA}"}}, tmp_path, {"CA": "hidden-place.pem"})
    assert "hidden-place" not in str(caught.value)


@pytest.mark.parametrize("hosts", [["http://x.example"], ["x.example:80"], ["-"], [""], ["a b"], "x.example"])
def test_listen_hosts_invalid_names_are_refused(tmp_path: Path, hosts: object) -> None:
    (problem,) = problems(tmp_path, listen={"hosts": hosts})
    assert problem.startswith("listen.hosts")
