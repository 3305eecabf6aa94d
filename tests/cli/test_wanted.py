"""`wanted` prints how many servers each group needs, in the reader's language."""

import json

import pytest

from statemachine.cli.wanted import wanted_lines
from statemachine.client import WantedAnswer
from statemachine.client.answers import WantedGroupAnswer
from statemachine.i18n.text import Language
from tests.cli.rig import SmallDaemon, cli

GROUP: WantedGroupAnswer = {
    "group": "lab",
    "servers": 5,
    "loaded": 4,
    "wanted": 7,
    "change": 2,
    "reason": "waiting",
    "message": "for the prompts that wait",
    "message_code": "wanted.waiting",
    "waiting": 10,
    "arrivals_per_s": 0.21,
    "run_s": 19.4,
    "expected_wait_s": 12.8,
}
GROUPS: list[WantedGroupAnswer] = [
    GROUP,
    {**GROUP, "group": "a long name", "wanted": 4, "change": -1, "message_code": "wanted.workflows"},
    {**GROUP, "wanted": 5, "change": 0, "message": "for a newer reason", "message_code": "wanted.newer"},
    {**GROUP, "wanted": None, "change": None, "message_code": "wanted.observing"},
]
ENGLISH = """\
servers needed so that prompts wait 30 s on average (traffic.target_wait_s):
Group        Servers  Wanted  Change  Why
lab          5        7       +2      for the prompts that wait
a long name  5        4       -1      to keep every workflow warm
lab          5        5       0       for a newer reason
lab          5        ?       ?       unknown: observed for less than 5 minutes"""
CHINESE = """\
使任务平均等待 30 秒（traffic.target_wait_s）所需的服务器：
分组         服务器  需要  增减  原因
lab          5       7     +2    按正在等待的任务
a long name  5       4     -1    使每个工作流保持预热
lab          5       5     0     for a newer reason
lab          5       ?     ?     未知：观察不足 5 分钟"""


@pytest.mark.parametrize(("language", "expected"), [("en", ENGLISH), ("zh", CHINESE)])
def test_wanted_prints_a_line_for_each_group(language: Language, expected: str) -> None:
    answer: WantedAnswer = {"generated_at": "2026-01-31T08:00:00Z", "target_wait_s": 30.0, "groups": GROUPS}
    assert "\n".join(line.plain for line in wanted_lines(answer, language)) == expected


async def test_wanted_asks_the_daemon(daemon: SmallDaemon) -> None:
    shown = await cli(daemon.settings(), "wanted")
    as_json = await cli(daemon.settings(), "wanted", "--group", "default", "--json")
    assert (shown.exit_code, as_json.exit_code) == (0, 0)
    assert shown.stdout.splitlines()[2].split()[:2] == ["default", "2"]
    assert [one["group"] for one in json.loads(as_json.stdout)["groups"]] == ["default"]


async def test_wanted_of_an_unknown_group_suggests_another(daemon: SmallDaemon) -> None:
    ended = await cli(daemon.settings(), "wanted", "--group", "defualt")
    assert ended.exit_code == 1
    assert "did you mean default" in ended.stderr
