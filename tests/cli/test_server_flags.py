"""What the arguments of a ComfyUI server mean, and that each has a text in both languages."""

import pytest

from statemachine.cli.findings import Mark
from statemachine.cli.server_flags import FLAGS, Argument, explain
from statemachine.i18n.render import render


def codes(*argv: object) -> list[str]:
    return [finding.what.code.removeprefix("flag.") for finding in explain(argv)]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ((), []),
        (("--port", "8188", "--fast", "--preview-method", "auto"), []),
        (("--cache-none",), ["cache_none"]),
        (("--cache-lru", "5"), ["cache_lru"]),
        (("--cache-lru=5",), ["cache_lru"]),
        (("--cache-l", "5"), ["cache_lru"]),
        (("--cache-lru", "0"), []),
        (("--cache-ram",), ["cache_ram"]),
        (("--cache-ram", "1000"), ["cache_ram"]),
        (("--cache-classic",), ["cache_classic"]),
        (("--high-ram",), ["cache_classic"]),
        (("--disable-smart-memory",), ["disable_smart_memory"]),
        (("--disable-sm",), ["disable_smart_memory"]),
        (("--multi-user",), ["multi_user"]),
        (("--tls-keyfile", "k.pem", "--tls-certfile", "c.pem"), ["tls"]),
        (("--disabled-nodes-config", "off.json"), ["disabled_nodes"]),
        (("--disable-all-custom-nodes",), ["disable_all_custom_nodes"]),
        (("--offline",), ["offline"]),
        (("--disable-api-nodes", "--offline"), ["offline"]),
        (("--highvram",), ["highvram"]),
        (("--gpu-only",), ["highvram"]),
        (("--novram",), ["novram"]),
        (("--cpu",), ["cpu"]),
        (("--cpu-vae",), []),
        (("--disable-dynamic-vram",), ["disable_dynamic_vram"]),
        (("--listen",), ["listen"]),
        (("--listen", "0.0.0.0,::"), ["listen"]),
        (("--listen", "127.0.0.1"), []),
        (("--listen", "0.0.0.0", "--listen", "127.0.0.1"), []),
        (("--enable-cors-header",), ["cors"]),
        (("--enable-cors-header", "https://a.example"), ["cors"]),
        ((None, 7, "--", "-c", "--cache-none", ["x"]), ["cache_none"]),
        (("--c",), []),
    ],
)
def test_explain_arguments_has_a_finding_for_each_meaning(argv: tuple[object, ...], expected: list[str]) -> None:
    assert codes(*argv) == expected


@pytest.mark.parametrize("flag", FLAGS)
def test_explain_every_flag_has_texts_in_both_languages(flag: str) -> None:
    (finding,) = explain([flag, "3"] if flag == "--cache-lru" else [flag])
    assert finding.mark is not Mark.BAD
    assert (finding.advice is None) == (finding.mark is Mark.GOOD)
    for text in (finding.what, finding.advice):
        if text is not None:
            english, chinese = render(text, "en"), render(text, "zh")
            assert english
            assert english.isascii()
            assert not chinese.isascii()


def test_explain_quotes_the_last_value() -> None:
    (finding,) = explain(["--cache-lru", "3", "--cache-lru", "7"])
    assert render(finding.what, "en").startswith("--cache-lru 7: the server keeps the newest 7 results")


def test_argument_value_that_is_long_is_cut() -> None:
    assert len(Argument("--listen", ("x" * 5_000,)).value) < 300
