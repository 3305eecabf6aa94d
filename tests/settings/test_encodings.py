"""The encodings of files that editors and PowerShell write in place of UTF-8."""

import codecs
import json

import pytest

from statemachine.i18n.render import render
from statemachine.settings.files import not_utf8_at, wrong_encoding

TEXT = json.dumps({"language": "zh", "note": "缓存模型的服务器，需要预热"}, ensure_ascii=False, indent=2)
GBK = "this file is not UTF-8; it looks like GBK"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (TEXT.encode("utf-16"), "this file is UTF-16"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "this file is UTF-16"),
        (TEXT.encode("utf-16-le"), "this file is UTF-16"),
        (TEXT.encode("utf-16-be"), "this file is UTF-16"),
        (TEXT.encode("utf-16")[:-1], "this file is UTF-16"),
        (TEXT.encode("utf-32"), "this file is UTF-32"),
        (TEXT.encode("utf-32-le"), "this file is UTF-32"),
        (TEXT.encode("gbk"), GBK),
        (TEXT.encode("gb18030"), GBK),
        (TEXT.encode("gb2312"), GBK),
        (b"{}", None),
        (b"", None),
        (TEXT.encode(), None),
        (TEXT.encode("utf-8-sig"), None),
        ('{"note": "été à Orléans"}'.encode("latin-1"), None),
        (bytes(64), None),
        (b"\xff", None),
        (b"{\xe7\xbc", None),
    ],
)
def test_wrong_encoding_is_named_if_it_is_known(data: bytes, expected: str | None) -> None:
    found = wrong_encoding(data)
    assert (render(found, "en") if found else None) == expected


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (TEXT.encode(), None),
        (b"", None),
        ('{\n  "note": "\u00e9t\u00e9"}'.encode("latin-1"), (2, 12)),
        ('{"\u8bf4": "'.encode() + b"\xe9", (1, 8)),
        (b"\x89PNG\r\n", (1, 1)),
        (b"\x1f\x8b\x08", (1, 2)),
    ],
)
def test_first_byte_that_is_not_utf8_has_its_place(data: bytes, place: tuple[int, int] | None) -> None:
    assert not_utf8_at(data) == place
