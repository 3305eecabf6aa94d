"""States, and the words for how an attempt ended and where a fact came from."""

from statemachine.core.server import Outcome
from statemachine.core.vocabulary import Source, State
from statemachine.i18n.text import Text

STATES: dict[State, Text] = {
    State.UNKNOWN: Text("Unknown", "未知"),
    State.CHECKING: Text("Checking", "检查中"),
    State.LOADED: Text("Loaded", "已加载"),
    State.COLD: Text("Cold", "未加载"),
    State.AUTO_EXECUTING: Text("Loading itself", "后台执行中"),
    State.SUBMITTING: Text("Submitting", "提交中"),
    State.WARMING: Text("Warming", "预热中"),
    State.UNREACHABLE: Text("Unreachable", "无法连接"),
    State.FAILED: Text("Failed", "失败"),
    State.PAUSED: Text("Paused", "已暂停"),
    State.DRAINING: Text("Draining", "排空中"),
    State.RESTARTING: Text("Restarting", "重启中"),
}

STATE_MEANINGS: dict[State, str] = {
    State.UNKNOWN: "the cache content is not known, or what was known is out of date",
    State.CHECKING: "a cache check is running; there is no current result",
    State.LOADED: "everything the settings ask for is cached",
    State.COLD: "something is missing and nothing is loading it; waiting for a permit, an idle queue or a backoff",
    State.AUTO_EXECUTING: "something is missing and the server is loading it by itself (后台执行中)",
    State.SUBMITTING: "a POST /prompt is in progress, or its result is being looked up",
    State.WARMING: "our prompt is queued or running",
    State.UNREACHABLE: "the server does not answer",
    State.FAILED: "a warm-up cannot succeed at the moment; the reason says why",
    State.PAUSED: "the operator paused the server",
    State.DRAINING: "the server is to be restarted and finishes its prompts; it gets no new ones from comfywarm",
    State.RESTARTING: "the restart hook has begun; waiting until the server answers as another process",
}

SOURCES: dict[Source, Text] = {
    Source.WS: Text("WebSocket event", "WebSocket 事件"),
    Source.HISTORY: Text("history", "历史记录"),
    Source.QUEUE: Text("queue", "队列"),
    Source.CHECK: Text("cache check", "缓存检查"),
    Source.OPERATOR: Text("operator", "操作员"),
    Source.REPLY: Text("the server's reply", "服务器应答"),
    Source.PREFLIGHT: Text("preflight", "提交前检查"),
    Source.PROBE: Text("probe", "探测"),
    Source.LINK: Text("event link", "事件连接"),
    Source.DAEMON: Text("daemon", "守护进程"),
}

OUTCOMES: dict[Outcome, Text] = {
    Outcome.RECORDED: Text("Being submitted", "正在提交"),
    Outcome.ACCEPTED: Text("Accepted", "已接受"),
    Outcome.SUCCEEDED: Text("Succeeded", "成功"),
    Outcome.FAILED: Text("Failed", "失败"),
    Outcome.INTERRUPTED: Text("Interrupted", "被中断"),
    Outcome.REFUSED: Text("Refused", "被拒绝"),
    Outcome.LOST: Text("Lost", "丢失"),
    Outcome.WITHHELD: Text("Withheld", "未提交"),
}
