"""Every sentence about the daemon and its log is there in both languages, with the same values."""

from string import Formatter

import pytest

from statemachine.cli.say import Say, say
from statemachine.i18n import cli

ENGLISH = {name: value for name, value in vars(cli).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", sorted(ENGLISH))
def test_each_has_its_chinese(name: str) -> None:
    english = ENGLISH[name]
    assert fields(cli.ZH[english]) == fields(english)


def fields(template: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(template) if field}


def test_a_sentence_within_a_sentence_is_in_the_same_language() -> None:
    assert say(cli.WAITING, "zh", why=Say(cli.BACK, {})).startswith("服务已恢复")
    assert say(cli.WAITING, "en", why=Say(cli.BACK, {})).startswith("the daemon is back")
