"""Every word of the page, in both languages side by side, so that neither can be forgotten."""

from typing import Any, Literal, get_args

from statemachine.core.attempt import Outcome
from statemachine.core.vocabulary import Notice, Reason, Source, State
from statemachine.i18n.page import LABELS, Text

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


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
}

REASONS: dict[Reason, Text] = {
    Reason.DAEMON_STARTED: Text("Daemon started", "服务刚启动"),
    Reason.CHECK_STARTED: Text("Check started", "正在检查缓存"),
    Reason.ALL_CACHED: Text("Everything cached", "全部已缓存"),
    Reason.KEYS_MISSING: Text("Keys missing", "缺少缓存键"),
    Reason.SERVER_AUTO_EXECUTING: Text("Server loads by itself", "服务器正在后台自行加载"),
    Reason.CHECK_ABSENT: Text("No cache check", "没有缓存检查接口"),
    Reason.CHECK_UNRECOGNISED: Text("Check not understood", "检查结果无法识别"),
    Reason.ACCESS_DENIED: Text("Access denied", "访问被拒绝"),
    Reason.PERMIT_GRANTED: Text("Permit granted", "获准预热"),
    Reason.PROMPT_IN_DOUBT: Text("Earlier prompt in doubt", "先前任务去向待查"),
    Reason.PROMPT_ACCEPTED: Text("Prompt accepted", "任务已被接受"),
    Reason.PROMPT_REFUSED: Text("Prompt refused", "任务被拒绝"),
    Reason.MISSING_NODES: Text("Nodes missing", "缺少节点"),
    Reason.MISSING_MODELS: Text("Model files missing", "缺少模型文件"),
    Reason.WORKFLOW_NOT_API_FORMAT: Text("Workflow file unusable", "工作流文件不可用"),
    Reason.PROMPT_SUCCEEDED: Text("Prompt succeeded", "任务已成功"),
    Reason.PROMPT_FAILED: Text("Prompt failed", "任务执行出错"),
    Reason.OUT_OF_MEMORY: Text("Out of memory", "显存或内存不足"),
    Reason.PROMPT_INTERRUPTED: Text("Prompt interrupted", "任务被中断"),
    Reason.PROMPT_LOST: Text("Prompt lost", "任务丢失"),
    Reason.CACHED_WITHOUT_LOADING: Text("Succeeded without loading", "任务成功但未执行加载"),
    Reason.STILL_COLD_AFTER_SUCCESS: Text("Still cold after success", "任务成功后仍未加载"),
    Reason.SERVER_RESTARTED: Text("Server restarted", "服务器已重启"),
    Reason.FOREIGN_WORK_FINISHED: Text("Other work finished", "其他任务已结束"),
    Reason.CACHE_CHANGED: Text("Cache changed", "缓存已变化"),
    Reason.QUEUE_STUCK: Text("Queue stuck", "队列停滞"),
    Reason.LINK_LOST: Text("Link lost", "连接中断"),
    Reason.LINK_RESTORED: Text("Link restored", "连接已恢复"),
    Reason.NOT_ANSWERING: Text("Not answering", "无响应"),
    Reason.ANSWERING_AGAIN: Text("Answering again", "恢复响应"),
    Reason.RETRY_DUE: Text("Retry due", "到达重试时间"),
    Reason.JOURNAL_UNAVAILABLE: Text("Journal unavailable", "日志无法写入"),
    Reason.CHECK_REQUESTED: Text("Check requested", "人工请求检查"),
    Reason.WARM_REQUESTED: Text("Warm-up requested", "人工请求预热"),
    Reason.PAUSE_REQUESTED: Text("Pause requested", "人工暂停"),
    Reason.RESUME_REQUESTED: Text("Resume requested", "人工恢复"),
    Reason.SETTINGS_CHANGED: Text("Settings changed", "设置已更改"),
    Reason.NODE_CUT_OFF: Text("Node cut off", "节点失联"),
}

NOTICES: dict[Notice, Text] = {
    Notice.FLEET_VANISHED: Text("Fleet vanished", "大量服务器同时失联"),
    Notice.FLEET_BACK: Text("Fleet back", "集群恢复应答"),
    Notice.JOURNAL_UNAVAILABLE: Text("Journal unavailable", "日志无法写入"),
    Notice.JOURNAL_AVAILABLE: Text("Journal available", "日志恢复写入"),
    Notice.SETTINGS_RELOADED: Text("Settings reloaded", "设置已重新加载"),
    Notice.SETTINGS_REFUSED: Text("Settings refused", "设置有误，未采用"),
    Notice.NODE_CUT_OFF: Text("Node cut off", "节点失联"),
    Notice.NODE_BACK: Text("Node back", "节点恢复"),
}

WITNESSES: dict[Source, Text] = {
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


def all_texts() -> dict[Language, dict[str, dict[str, str]]]:
    """Language, then the group (`state`, `reason`, …, `label`), then the key: what the page's script is given."""
    groups: dict[str, dict[Any, Text]] = {
        "state": STATES,
        "reason": REASONS,
        "notice": NOTICES,
        "witness": WITNESSES,
        "outcome": OUTCOMES,
        "label": LABELS,
    }
    return {
        language: {
            group: {getattr(key, "value", key): getattr(text, language) for key, text in texts.items()}
            for group, texts in groups.items()
        }
        for language in LANGUAGES
    }
