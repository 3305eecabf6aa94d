"""Every sentence about the daemon and its log is there in both languages, with the same values."""

from string import Formatter

import pytest

from statemachine.cli import daemon_words
from statemachine.cli.say import Say, say

ENGLISH = {name: value for name, value in vars(daemon_words).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", sorted(ENGLISH))
def test_each_has_its_chinese(name: str) -> None:
    english = ENGLISH[name]
    assert fields(daemon_words.ZH[english]) == fields(english)


def fields(template: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(template) if field}


def test_a_sentence_within_a_sentence_is_in_the_same_language() -> None:
    assert say(daemon_words.WAITING, "zh", why=Say(daemon_words.BACK, {})).startswith("服务已恢复")
    assert say(daemon_words.WAITING, "en", why=Say(daemon_words.BACK, {})).startswith("the daemon is back")
