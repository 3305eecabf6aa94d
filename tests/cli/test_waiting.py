"""What a server waits for, with the time, in both languages."""

from typing import cast

import pytest

from statemachine.cli.status_lines import waiting_text
from statemachine.client import ServerAnswer
from statemachine.i18n.text import Language


@pytest.mark.parametrize(
    ("at", "language", "expected"),
    [
        ("2026-01-02T03:00:45Z", "en", "drain in 45 s"),
        ("2026-01-02T03:00:45Z", "zh", "drain：45 秒后"),
        ("2026-01-02T03:11:00Z", "en", "drain in 11 min"),
        ("2026-01-02T03:11:00Z", "zh", "drain：11 分钟后"),
    ],
)
def test_waiting_text_has_the_units_of_the_language(at: str, language: Language, expected: str) -> None:
    server = cast("ServerAnswer", {"waiting_for": "drain", "next_action_at": at})
    assert waiting_text(server, "2026-01-02T03:00:00Z", language) == expected
