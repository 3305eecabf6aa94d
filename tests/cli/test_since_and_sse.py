"""Parsing of `--since` and of event streams."""

from datetime import UTC, datetime

import pytest

from statemachine.cli.tail import parse_since
from statemachine.client.api import Block, EventParser
from statemachine.i18n.render import MessageError

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", datetime(2026, 1, 2, 11, 58, 30, tzinfo=UTC)),
        ("10m", datetime(2026, 1, 2, 11, 50, tzinfo=UTC)),
        ("2h", datetime(2026, 1, 2, 10, tzinfo=UTC)),
        ("1d", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01T08:00:00Z", datetime(2026, 1, 1, 8, tzinfo=UTC)),
        ("2026-01-01T08:00:00+08:00", datetime(2026, 1, 1, 0, tzinfo=UTC)),
    ],
)
def test_parse_since_accepts_times_and_ages(text: str, expected: datetime) -> None:
    assert parse_since(text, NOW) == expected.timestamp()


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "10 minutes", "yesterday", "999999999w", "2026-13-01"])
def test_parse_since_other_text_is_refused(text: str) -> None:
    with pytest.raises(MessageError, match="10m, 2h, 1d"):
        parse_since(text, NOW)


STREAM = (
    "retry: 2000\nid: 7\n\n"
    ": keep-alive\n\n"
    'id: 8\nevent: notice\ndata: {"message":"缓存"}\n\n'
    "event: progress\ndata: {}\n\n"
)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_event_parser_any_chunk_size_returns_whole_blocks(size: int) -> None:
    data, parser = STREAM.encode(), EventParser()
    blocks = [block for start in range(0, len(data), size) for block in parser.feed(data[start : start + size])]
    expected = [Block(7, "", ""), Block(8, "notice", '{"message":"缓存"}'), Block(None, "progress", "{}")]
    assert blocks == expected
