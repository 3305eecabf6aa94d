"""States, what a server waits for, and the words for how an attempt ended and where a fact came from.

The time of the next action, if it is known, follows the text of a wait.
"""

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

WAITS: dict[str, Text] = {
    "wait.start": Text("waits for its turn to be checked", "等待轮到检查"),
    "wait.turn": Text("next check", "下次检查"),
    "wait.check": Text("next check", "下次检查"),
    "wait.check_answer": Text("waits for the answer to its cache check", "等待缓存检查的应答"),
    "wait.check_slot": Text(
        "{limit} checks running (limits.max_checks), waits for one to end",
        "已有 {limit} 个检查在进行（limits.max_checks），等待空位",
    ),
    "wait.contested_check": Text(
        "its models did not stay, next check, which makes it load them", "模型未能保留，下次检查（会触发加载）"
    ),
    "wait.idle_queue": Text("being asked whether it can be warmed now", "正在确认是否可以预热"),
    "wait.after_failures": Text("next warm-up after failures", "失败后的下次预热"),
    "wait.rate_limit": Text("the server limits requests, next request", "服务器限制请求频率，下次请求"),
    "wait.contested": Text("its models did not stay, next warm-up", "模型未能保留，下次预热"),
    "wait.busy_queue": Text("queue busy", "队列繁忙"),
    "wait.link": Text("waits for its /ws connection", "等待 /ws 连接"),
    "wait.permit": Text(
        "{running} of {limit} warm-ups running, number {place} in line", "正在预热 {running}/{limit}，排在第 {place} 位"
    ),
    "wait.node_permit": Text(
        "{running} of {limit} warm-ups running, number {place} in the line of its node",
        "正在预热 {running}/{limit}，在所属节点中排在第 {place} 位",
    ),
    "wait.permit_far": Text(
        "{running} of {limit} warm-ups running, more than {before} servers come first",
        "正在预热 {running}/{limit}，前面还有超过 {before} 台服务器",
    ),
    "wait.host_permit": Text(
        "{running} of {limit} warm-ups running on host {host}, number {place} in line",
        "主机 {host} 上正在预热 {running}/{limit}，排在第 {place} 位",
    ),
    "wait.permit_granted": Text("a warm-up is free, being assigned", "有空闲的预热名额，正在分配"),
    "wait.journal": Text("the journal cannot be written, next look", "日志库无法写入，下次查看"),
    "wait.cluster": Text("waits until this node reaches the cluster again", "等待本节点重新连上集群"),
    "wait.outage": Text("most of the fleet does not answer, next look", "大部分服务器没有应答，下次查看"),
    "wait.attempt": Text("next attempt", "下次尝试"),
    "wait.own_loading": Text("loads by itself, next look", "正在后台自行加载，下次查看"),
    "wait.submission": Text("waits for the answer to the warm-up's submission", "等待预热任务的提交应答"),
    "wait.lookup": Text("looking up whether the server has the warm-up", "正在查找服务器是否已有该预热任务"),
    "wait.warm_up": Text("warm-up running", "预热任务运行中"),
    "wait.probe": Text("next attempt to reach it", "下次尝试连接"),
    "wait.retry": Text("next attempt", "下次尝试"),
    "wait.pause_end": Text("paused, resumes", "停用中，自动恢复"),
    "wait.standstill": Text("runs none of its prompts; next look", "未运行任何任务；下次查看"),
    "wait.drain": Text("finishes its prompts before the restart", "重启前先完成队列中的任务"),
    "wait.hook": Text("restart hook running", "重启钩子运行中"),
    "wait.return": Text("waits until the server is back after the restart", "等待服务器重启后恢复"),
    "wait.resume": Text("waits until an operator resumes it", "等待人工恢复"),
}
