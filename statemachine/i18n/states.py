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

STATE_MEANINGS: dict[State, Text] = {
    State.UNKNOWN: Text(
        "the cache content is not known, or what was known is out of date",
        "缓存内容未知，或已知内容已过时",
    ),
    State.CHECKING: Text("a cache check is running; there is no current result", "正在检查缓存，尚无当前结果"),
    State.LOADED: Text("everything the settings ask for is cached", "设置要求的内容已全部缓存"),
    State.COLD: Text(
        "something is missing and nothing is loading it; waiting for a permit, an idle queue or a backoff",
        "缺少内容且没有加载在进行；正在等待预热名额、空闲队列或退避时间",
    ),
    State.AUTO_EXECUTING: Text(
        "something is missing and the server is loading it by itself (后台执行中)",
        "缺少内容，服务器正在后台自行加载",
    ),
    State.SUBMITTING: Text(
        "a POST /prompt is in progress, or its result is being looked up",
        "POST /prompt 正在进行，或正在查询其结果",
    ),
    State.WARMING: Text("our prompt is queued or running", "我们的任务正在排队或运行"),
    State.UNREACHABLE: Text("the server does not answer", "服务器没有应答"),
    State.FAILED: Text(
        "a warm-up cannot succeed at the moment; the reason says why",
        "目前无法预热成功，原因见原因代码",
    ),
    State.PAUSED: Text("the operator paused the server", "操作员已暂停这台服务器"),
    State.DRAINING: Text(
        "the server is to be restarted and finishes its prompts; it gets no new ones from comfywarm",
        "服务器即将重启，正在完成已有任务；comfywarm 不再向它提交新任务",
    ),
    State.RESTARTING: Text(
        "the restart hook has begun; waiting until the server answers as another process",
        "重启钩子已开始执行，正在等待服务器以新进程应答",
    ),
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
