"""Every word of the page, in both languages side by side, so that neither can be forgotten."""

from typing import Any, Literal, NamedTuple, get_args

from statemachine.core.vocabulary import Reason, State

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


class Text(NamedTuple):
    """One text in each language."""

    en: str
    zh: str


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
}

LABELS: dict[str, Text] = {
    "title": Text("Fleet status", "服务器状态"),
    "language": Text("Language", "语言"),
    "connecting": Text("Connecting…", "正在连接…"),
    "live": Text("Live", "实时"),
    "lost": Text("Connection lost, trying again…", "连接已断开，正在重试…"),
    "no_script": Text(
        "This page needs JavaScript. The same facts are at /api/status.",
        "本页面需要 JavaScript。相同的数据见 /api/status。",
    ),
    "summary": Text("Summary", "概览"),
    "loaded_of": Text("servers loaded", "台服务器已加载"),
    "filter_state": Text("Filter by state", "按状态筛选"),
    "servers": Text("Servers", "服务器"),
    "search": Text("Filter by name, group, reason…", "按名称、分组、原因筛选…"),
    "clear": Text("Clear filters", "清除筛选"),
    "shown": Text("shown", "台符合条件"),
    "none_match": Text("No server matches the filters.", "没有符合筛选条件的服务器。"),
    "no_servers": Text("No server is known yet.", "尚无服务器。"),
    "loading": Text("Loading…", "加载中…"),
    "server": Text("Server", "服务器"),
    "state": Text("State", "状态"),
    "why": Text("Why", "原因"),
    "queue": Text("Queue", "队列"),
    "last_check": Text("Last check", "上次检查"),
    "next_action": Text("Next action", "下次动作"),
    "actions": Text("Actions", "操作"),
    "missing": Text("Missing", "缺少"),
    "progress": Text("Warm-up progress", "预热进度"),
    "check": Text("Check", "检查"),
    "warm": Text("Warm", "预热"),
    "pause": Text("Pause", "暂停"),
    "resume": Text("Resume", "恢复"),
    "requested": Text("Passed on", "已提交"),
    "no_answer": Text("The daemon does not answer.", "服务没有响应。"),
    "token_title": Text("Token needed", "需要令牌"),
    "token_hint": Text(
        "This daemon asks for the token of its settings (listen.token). It is kept until this tab is closed.",
        "该服务要求提供设置中的令牌（listen.token）。令牌仅保存到本标签页关闭为止。",
    ),
    "token": Text("Token", "令牌"),
    "go_on": Text("Continue", "继续"),
    "cancel": Text("Cancel", "取消"),
    "log": Text("Event log", "事件日志"),
    "log_empty": Text("Nothing has happened yet.", "暂无事件。"),
    "notice": Text("Notice", "通知"),
    "now": Text("now", "现在"),
    "due": Text("due", "即将"),
}


def all_texts() -> dict[Language, dict[str, dict[str, str]]]:
    """Language, then `state`, `reason` or `label`, then the key: what the page's script is given."""
    groups: dict[str, dict[Any, Text]] = {"state": STATES, "reason": REASONS, "label": LABELS}
    return {
        language: {
            group: {getattr(key, "value", key): getattr(text, language) for key, text in texts.items()}
            for group, texts in groups.items()
        }
        for language in LANGUAGES
    }
