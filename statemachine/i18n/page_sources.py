"""The page's labels for the sources of servers."""

from statemachine.i18n.text import Text

SOURCE_LABELS: dict[str, Text] = {
    "sources": Text("Sources of servers", "服务器来源"),
    "sources_well": Text("{count} answering", "{count} 个正常"),
    "sources_troubled": Text("{troubled} of {count} with trouble", "{count} 个中有 {troubled} 个异常"),
    "source_servers": Text("servers: {count}", "服务器 {count} 台"),
    "source_missing": Text("missing: {count}", "缺失 {count} 台"),
    "source_failures": Text("failures in a row: {count}", "连续失败 {count} 次"),
    "source_answered": Text("answered", "应答于"),
    "source_not_answered": Text("no answer since the start", "启动以来没有应答"),
    "source": Text("Source", "来源"),
    "labels": Text("Labels", "标签"),
}
