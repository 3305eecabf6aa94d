"""Ranges in URLs: their expansion, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.settings.expand import MAX_SERVERS, expand_url, parse_template


def urls(text: str) -> list[str]:
    return [address.url for address in expand_url(text)]


def test_range_in_host_includes_both_ends() -> None:
    assert urls("http://192.0.2.[9-11]:8188") == [f"http://192.0.2.{number}:8188" for number in (9, 10, 11)]


def test_range_with_step_stops_at_or_before_the_end() -> None:
    assert [address.port for address in expand_url("http://h:[8188-8487:100]")] == [8188, 8288, 8388]


def test_ranges_combined_are_a_product_in_order() -> None:
    assert urls("http://h[1-2]:[8-9]") == ["http://h1:8", "http://h1:9", "http://h2:8", "http://h2:9"]


def test_range_leading_zeros_set_the_width() -> None:
    assert [address.host for address in expand_url("http://gpu[08-10]")] == ["gpu08", "gpu09", "gpu10"]


@pytest.mark.parametrize(
    ("text", "url", "name", "host"),
    [
        ("http://[::1]:8188", "http://[::1]:8188", "[::1]:8188", "::1"),
        ("http://[2001:DB8:0:0::5]", "http://[2001:db8::5]", "[2001:db8::5]:80", "2001:db8::5"),
        ("HTTP://GPU.Example:80/", "http://gpu.example", "gpu.example:80", "gpu.example"),
        ("https://h:443/comfy/a/", "https://h/comfy/a", "h:443", "h"),
        ("https://h:80", "https://h:80", "h:80", "h"),
        ("http://gpu_1-a.local:1", "http://gpu_1-a.local:1", "gpu_1-a.local:1", "gpu_1-a.local"),
    ],
)
def test_expand_url_without_range_returns_one_normal_address(text: str, url: str, name: str, host: str) -> None:
    (address,) = expand_url(text)
    assert (address.url, address.host_and_port, address.host) == (url, name, host)


def test_range_in_ipv6_address_is_expanded() -> None:
    assert urls("http://[fe80::[9-10]]:1") == ["http://[fe80::9]:1", "http://[fe80::10]:1"]


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("http://h[3-1]", "ascends"),
        ("http://h[1-3:0]", "step of 1 or more"),
        (f"http://h[1-{MAX_SERVERS + 1}]", "at most 20000 servers"),
        ("http://h[1-999999999]:[1-65535]", "at most 20000 servers"),
        ("http://h[1-9999999999]", "IPv6"),
        ("http://192.0.2.[250-256]", "IPv4"),
        ("http://192.0.2.[01-02]", "IPv4"),
        ("http://h:[65530-65536]", "port from 1 to 65535"),
        ("http://h:0", "port from 1 to 65535"),
        ("http://h:", "HOST:PORT"),
        ("http://h/[1-2]", "only in the host and the port"),
        ("http://[::1]x:80", "IPv6"),
        ("http://x[::1]:80", "IPv6"),
        ("http://[::g]", "IPv6"),
        ("http://[fe80::1%25eth0]", "IPv6"),
        ("http://", "HOST"),
        ("http://h\n", "host"),
        ("http://h h", "host"),
        ("http://-h", "host"),
        ("http://服务器", "ASCII"),
        ("h:8188", "http://"),
        ("ws://h", "http://"),
        ("http://h?a=b", "without ?"),
        ("http://h/#a", "without ?"),
        ("http://user:password@h", "headers"),
    ],
)
def test_parse_template_invalid_url_names_what_is_allowed(text: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_template(text)
    assert allowed in str(caught.value)


@given(
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(0, 5),
    st.sampled_from(["http://h[{}-{}:{}]", "http://192.0.2.[{}-{}:{}]", "http://h:[{}-{}:{}]", "http://h[{}-{}:{}].1"]),
)
def test_template_length_equals_its_expansion(first: int, stop: int, step: int, shape: str) -> None:
    try:
        template = parse_template(shape.format(first, stop, step))
    except ValueError:
        return
    expanded = [address.url for address in template.urls()]
    assert len(expanded) == len(template) == len(set(expanded)) == len(range(first, stop + 1, step))
