"""Answers in the charset that their Content-Type declares."""

import encodings
import time

import pytest

from statemachine.comfyui.body_encodings import as_utf8

TEXT = "未查询到缓存pulid_model，已经自动在后台执行缓存模型工作流。"
TRADITIONAL = "未查詢到緩存"


@pytest.mark.parametrize(
    ("content_type", "codec", "text"),
    [
        ("text/plain; charset=GBK", "gbk", TEXT),
        ("text/plain;charset=gb2312", "gbk", "缓存已加载，键為㍿".replace("㍿", "镕")),
        ('text/html; Charset="GB18030"', "gb18030", TEXT + "㐀"),
        ("application/json; boundary=x; charset = cp936", "gbk", f'{{"message": "{TEXT}"}}'),
        ("text/plain; charset=big5", "big5", TRADITIONAL),
        ("text/plain; charset=Big5-HKSCS", "big5hkscs", TRADITIONAL),
        ("text/plain; charset=utf-16", "utf-16", TEXT),
        ("text/plain; charset=UTF-16LE", "utf-16-le", TEXT),
        ("text/plain; charset=utf-16be", "utf-16-be", TEXT),
        ("text/plain; charset=utf-32", "utf-32", TEXT),
        ("text/plain; charset=hz-gb-2312", "hz", TEXT),
        ("text/plain; charset=Windows-936", "gbk", TEXT),
        ("text/plain; charset=windows-949", "cp949", "캐시"),
        ("text/plain; charset=windows-1251", "cp1251", "кэш"),
        ("text/plain; charset=Shift_JIS", "shift_jis", "キャッシュ"),
        ("text/plain; charset=x-sjis", "shift_jis", "キャッシュ"),
        ("text/plain; charset=euc-kr", "euc_kr", "캐시"),
        ("text/plain; charset=iso-8859-1", "latin-1", "é"),
        ("text/plain; charset=utf-8", "utf-8", TEXT),
        ("text/plain", "utf-8", TEXT),
    ],
)
def test_as_utf8_reads_declared_charset(content_type: str, codec: str, text: str) -> None:
    assert as_utf8(text.encode(codec), content_type).decode() == text


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain; charset=",
        "text/plain; charset=nonsense",
        "text/plain; charset=gbk",
        "text/plain; charset=utf-16",
        "text/plain; charset=ascii",
        "text/plain; charset=iso-8859-1",
        "text/plain; charset=windows-1252",
        "text/plain; charset=base64",
        "text/plain; charset=rot13",
        "text/plain; charset=unicode_escape",
        "text/plain; charset=idna",
        "text/plain; charset=\x00",
        f"text/plain; charset={'x' * 10_000}",
    ],
)
def test_as_utf8_wrong_declaration_leaves_utf8(content_type: str) -> None:
    for text in (TEXT, TEXT[:-1], "缓存已加载。", "ok"):
        assert as_utf8(text.encode(), content_type) == text.encode()


def test_as_utf8_invalid_in_declared_charset_is_left() -> None:
    body = "缓存".encode("gbk") + b"\xff"
    assert as_utf8(body, "text/plain; charset=gbk") == body


def test_as_utf8_hostile_declaration_costs_little() -> None:
    began = time.perf_counter()
    as_utf8(b"a" * 100_000 + b"-" + b"z" * 100_000, "text/plain; charset=punycode")
    assert time.perf_counter() - began < 1.0


def test_as_utf8_unknown_charsets_fill_no_memory() -> None:
    """Python keeps each unknown name that it was asked for; a server may declare another one with each answer."""
    known = len(encodings._cache)
    for number in range(100):
        assert as_utf8(b"text", f"text/plain; charset=gb{number}{'x' * 1000}") == b"text"
    assert len(encodings._cache) == known
