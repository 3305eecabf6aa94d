"""The texts of the page /docs, apart from the meanings of the words."""

from statemachine.i18n.text import Text

DOCS: dict[str, Text] = {
    "title": Text("Documentation", "文档"),
    "page": Text("Fleet status", "集群状态"),
    "intro": Text(
        "What the words of the page, the API and the log mean in this version.",
        "本版本中，页面、接口和日志所用词语的含义。",
    ),
    "states": Text("States", "状态"),
    "reasons": Text("Reasons", "原因"),
    "notices": Text("Notices", "通知"),
    "api": Text("HTTP API (OpenAPI)", "HTTP 接口（OpenAPI）"),
}
