"""The texts of alerts."""

from statemachine.i18n.text import Text

ALERTS: dict[str, Text] = {
    # A state after a number of servers
    "alert.state.unknown": Text("in an unknown state", "状态未知"),
    "alert.state.checking": Text("being checked", "检查中"),
    "alert.state.cold": Text("cold", "未加载"),
    "alert.state.auto_executing": Text("loading by themselves", "正在后台自行加载"),
    "alert.state.submitting": Text("being submitted to", "提交中"),
    "alert.state.warming": Text("still warming", "仍在预热"),
    "alert.state.unreachable": Text("unreachable", "无法连接"),
    "alert.state.failed": Text("failed", "失败"),
    "alert.state.draining": Text("draining", "排空中"),
    "alert.state.restarting": Text("restarting", "重启中"),
    # Titles
    "alert.title": Text("comfywarm: {text}", "comfywarm: {text}"),
    "alert.one_server": Text("1 server", "1 台服务器"),
    "alert.servers": Text("{count} servers", "{count} 台服务器"),
    "alert.most": Text("most of the fleet, {count} of {fleet} servers", "大部分服务器（{count}/{fleet} 台）"),
    "alert.firing": Text(
        "{servers} {state} for {duration}: {hosts}: {cause}", "{servers}{state}，已持续 {duration}：{hosts}：{cause}"
    ),
    "alert.firing_notice": Text("{cause} (for {duration})", "{cause}（已持续 {duration}）"),
    "alert.recovered": Text(
        "recovered: {servers} loaded again after {duration}: {hosts}",
        "已恢复：{servers}重新加载完成，历时 {duration}：{hosts}",
    ),
    "alert.recovered_partly": Text("{recovered}, {count} not yet", "{recovered}，另有 {count} 台尚未恢复"),
    "alert.recovered_notice": Text("over after {duration}: {cause}", "已结束，历时 {duration}：{cause}"),
    "alert.test": Text("a test message of channel {channel}", "通道 {channel} 的测试消息"),
    "alert.test_body": Text(
        "Nothing is wrong. Alerts of this channel arrive here.", "一切正常。发往此通道的告警将在这里收到。"
    ),
    "alert.digest": Text(
        "{count} alerts in one message because of the rate limit: {parts}",
        "因发送限制，{count} 条告警合并为一条：{parts}",
    ),
    "alert.digest_new": Text("{count} new", "新告警 {count} 条"),
    "alert.digest_recovered": Text("{count} recovered", "已恢复 {count} 条"),
    "alert.digest_uncounted": Text("{count} older ones without details", "更早的 {count} 条不再列出"),
    # Lines of the body
    "alert.on_hosts": Text("{count} hosts", "{count} 台主机"),
    "alert.ports": Text("{host} ({labels})", "{host}（{labels}）"),
    "alert.more": Text("… and {count} more", "……以及另外 {count} 项"),
    "alert.rule": Text("rule {rule}", "规则 {rule}"),
    "alert.since": Text("since {time}", "自 {time} 起"),
    "alert.groups": Text("group {groups}", "分组 {groups}"),
    "alert.was": Text("was {state}: {cause}", "此前{state}：{cause}"),
    "alert.link": Text("page: {link}", "页面：{link}"),
    "alert.item": Text("- {text}", "- {text}"),
    # Durations
    "alert.seconds": Text("{count} s", "{count} 秒"),
    "alert.minutes": Text("{count} min", "{count} 分钟"),
    "alert.hours": Text("{count} h", "{count} 小时"),
    "alert.days": Text("{count} d", "{count} 天"),
    "alert.two_units": Text("{large} {small}", "{large} {small}"),
    # Why a message was not sent
    "alert.no_answer": Text("no answer within {seconds} s", "{seconds} 秒内没有应答"),
    "alert.status": Text("HTTP {status}", "HTTP {status}"),
    "alert.no_connection": Text("cannot connect: {error}", "无法连接：{error}"),
    "alert.still_hanging": Text("the previous attempt is still hanging", "上一次发送仍未结束"),
    "alert.not_taken": Text("the service did not accept the message", "服务没有接收消息"),
}
