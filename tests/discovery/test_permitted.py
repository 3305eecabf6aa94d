"""A client registers servers at its own address, or at those that the settings allow."""

import pytest

from statemachine.discovery.registration import may_register
from statemachine.settings.problems import SettingsError
from tests.discovery.samples import with_sources


@pytest.mark.parametrize(
    ("host", "peer", "networks", "expected"),
    [
        ("192.0.2.1", "192.0.2.1", (), True),
        ("192.0.2.1", "192.0.2.10", (), False),
        ("192.0.2.1", "::ffff:192.0.2.1", (), True),
        ("[2001:db8::1]", "2001:0db8:0::1", (), True),
        ("[fe80::1]", "fe80::1%eth0", (), True),
        ("127.0.0.1", "127.0.0.1", (), True),
        ("localhost", "127.0.0.1", (), True),
        ("[::1]", "127.0.0.1", (), True),
        ("127.0.0.1", "192.0.2.1", (), False),
        ("localhost", "192.0.2.1", (), False),
        ("gpu.example.com", "192.0.2.1", (), False),
        ("192.0.2.1", None, (), False),
        ("192.0.2.1", None, ("192.0.2.0/24",), True),
        ("192.0.3.1", "192.0.3.1", ("192.0.2.0/24",), False),
        ("[2001:db8::9]", None, ("192.0.2.0/24", "2001:db8::/32"), True),
        ("GPU.example.com.", None, ("gpu.example.com",), True),
        ("gpu.example.com", None, (".example.com",), True),
        ("badexample.com", None, (".example.com",), False),
        ("example.com.evil.net", None, (".example.com",), False),
    ],
)
def test_client_may_register_its_own_address_or_the_networks(
    host: str, peer: str | None, networks: tuple[str, ...], *, expected: bool
) -> None:
    assert may_register(host, peer, networks) is expected


@pytest.mark.parametrize(
    "network", ["", "192.0.2.0/33", "192.0.2", "10.0.0.0-10.0.0.9", "a b", "http://gpu", "*.example.com"]
)
def test_network_that_is_not_one_is_refused(network: str) -> None:
    with pytest.raises(SettingsError, match=r"discovery\[0\].networks\[0\]"):
        with_sources({"kind": "register", "name": "nodes", "networks": [network]})
