"""The words of alerts in both languages, side by side."""

from dataclasses import dataclass

from statemachine.core.messages import Language
from statemachine.core.vocabulary import State


@dataclass(frozen=True, slots=True)
class Phrases:
    """Sentences with something to fill in. `states` follow a number of servers."""

    states: dict[State, str]
    one_server: str
    servers: str
    most: str
    firing: str
    firing_notice: str
    recovered: str
    recovered_notice: str
    still: str
    test: str
    digest: str
    digest_new: str
    digest_recovered: str
    digest_uncounted: str
    on_hosts: str
    ports: str
    more: str
    rule: str
    since: str
    groups: str
    was: str
    test_body: str
    comma: str
    units: tuple[str, str, str, str]


ENGLISH = Phrases(
    states={
        State.UNKNOWN: "in an unknown state",
        State.CHECKING: "being checked",
        State.COLD: "cold",
        State.AUTO_EXECUTING: "loading by themselves",
        State.SUBMITTING: "being submitted to",
        State.WARMING: "still warming",
        State.UNREACHABLE: "unreachable",
        State.FAILED: "failed",
    },
    one_server="1 server",
    servers="{count} servers",
    most="most of the fleet, {count} of {fleet} servers",
    firing="{who} {state} for {duration}: {where}: {why}",
    firing_notice="{why} (for {duration})",
    recovered="recovered: {who} loaded again after {duration}: {where}",
    recovered_notice="over after {duration}: {why}",
    still="{count} not yet",
    test="a test message of channel {channel}",
    digest="{count} alerts in one message, because of the limit: {parts}",
    digest_new="{count} new",
    digest_recovered="{count} recovered",
    digest_uncounted="{count} older ones without details",
    on_hosts="{count} hosts",
    ports="{host} ({labels})",
    more="… and {count} more",
    rule="rule {rule}",
    since="since {time}",
    groups="group {groups}",
    was="was {state}: {why}",
    test_body="Nothing is wrong. Alerts that are sent to this channel arrive here.",
    comma=", ",
    units=("{} s", "{} min", "{} h", "{} d"),
)

CHINESE = Phrases(
    states={
        State.UNKNOWN: "状态未知",
        State.CHECKING: "检查中",
        State.COLD: "未加载",
        State.AUTO_EXECUTING: "正在后台自行加载",
        State.SUBMITTING: "提交中",
        State.WARMING: "仍在预热",
        State.UNREACHABLE: "无法连接",
        State.FAILED: "失败",
    },
    one_server="1 台服务器",
    servers="{count} 台服务器",
    most="大部分服务器（{count}/{fleet} 台）",
    firing="{who}{state}，已持续 {duration}：{where}：{why}",
    firing_notice="{why}（已持续 {duration}）",
    recovered="已恢复：{who}重新加载完成，历时 {duration}：{where}",
    recovered_notice="已结束，历时 {duration}：{why}",
    still="另有 {count} 台尚未恢复",
    test="通道 {channel} 的测试消息",
    digest="因发送限制，{count} 条告警合并为一条：{parts}",
    digest_new="新告警 {count} 条",
    digest_recovered="已恢复 {count} 条",
    digest_uncounted="更早的 {count} 条不再列出",
    on_hosts="{count} 台主机",
    ports="{host}（{labels}）",
    more="……以及另外 {count} 项",
    rule="规则 {rule}",
    since="自 {time} 起",
    groups="分组 {groups}",
    was="此前{state}：{why}",
    test_body="一切正常。发往此通道的告警将在这里收到。",
    comma="、",
    units=("{} 秒", "{} 分钟", "{} 小时", "{} 天"),
)

PHRASES: dict[Language, Phrases] = {"en": ENGLISH, "zh": CHINESE}
