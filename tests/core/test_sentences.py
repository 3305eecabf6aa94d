"""What is said to people, in either language; what a server said stays in its own words."""

from dataclasses import fields
from string import Formatter

import pytest

from statemachine.core import events as e
from statemachine.core.log_entry import notice_entry
from statemachine.core.machine import Machine
from statemachine.core.messages import CHINESE, ENGLISH, NOTICE_MEANINGS_ZH, REASON_MEANINGS_ZH
from statemachine.core.server import Server
from statemachine.core.vocabulary import NOTICE_MEANINGS, Notice, Reason
from tests.core.bench import accepted, submission

PHRASES = [field.name for field in fields(ENGLISH) if field.name not in ("meanings", "notices")]


def blanks(phrase: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(phrase) if name}


def test_every_reason_and_notice_has_a_meaning_in_chinese() -> None:
    assert set(REASON_MEANINGS_ZH) == set(Reason)
    assert set(NOTICE_MEANINGS_ZH) == set(NOTICE_MEANINGS) == set(Notice)
    assert all([*REASON_MEANINGS_ZH.values(), *NOTICE_MEANINGS_ZH.values()])


def test_a_notice_is_completed_by_its_detail() -> None:
    entry = notice_entry(Notice.SETTINGS_REFUSED, 1.0, "zh", "servers[0].url")
    assert entry.message == "新的设置或工作流文件有误，继续使用原有设置: servers[0].url"


@pytest.mark.parametrize("name", PHRASES)
def test_a_phrase_says_as_much_in_both_languages(name: str) -> None:
    chinese, english = getattr(CHINESE, name), getattr(ENGLISH, name)
    assert chinese != english
    assert blanks(chinese) <= blanks(english)
    assert blanks(english) - blanks(chinese) <= {"kind"}


def test_a_chinese_machine_tells_the_same_story() -> None:
    server, machine = Server("a"), Machine("zh")
    told: list[e.Event] = [
        e.CheckStarted(),
        e.CheckAnswered("text", ("k1",), ("w",), False, 0),
        submission(),
        accepted(),
    ]
    messages = [one.message for event in told for one in machine.apply(server, event, 1.0)]
    assert messages == [
        "正在查询缓存状态",
        "text 检查：缺少 k1",
        "正在提交工作流 cache_models",
        "服务器已收到我们的工作流 cache_models",
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_servers_own_words_are_not_translated_nor_filled_in(language: str) -> None:
    server, machine = Server("a"), Machine("zh" if language == "zh" else "en")
    machine.apply(server, e.CheckStarted(), 1.0)
    said = "cache check: {missing} {0} 100%"
    (one,) = machine.apply(server, e.CheckUnusable(Reason.CHECK_UNRECOGNISED, said), 2.0)
    assert one.message == said


def test_keys_with_braces_are_shown_as_they_are() -> None:
    server, machine = Server("a"), Machine()
    machine.apply(server, e.CheckStarted(), 1.0)
    (one,) = machine.apply(server, e.CheckAnswered("text", ("{k}",), ("w",), False, 0), 2.0)
    assert one.message == "the text check misses {k}"
