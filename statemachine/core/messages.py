"""The sentence that a transition says to people, in the language of the settings.

What a server or a library said (an exception, a refusal) stays in its own words.
"""

from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

from statemachine.core import events
from statemachine.core.server import CacheChange, Server
from statemachine.core.vocabulary import NOTICE_MEANINGS, REASON_MEANINGS, Notice, Reason

REASON_MEANINGS_ZH: dict[Reason, str] = {
    Reason.DAEMON_STARTED: "守护进程刚刚接管这台服务器，尚不了解它的状态",
    Reason.CHECK_STARTED: "正在查询缓存状态",
    Reason.ALL_CACHED: "检查结果：所需内容已全部缓存",
    Reason.KEYS_MISSING: "检查结果：缺少缓存，且没有人在加载",
    Reason.SERVER_AUTO_EXECUTING: "缺少缓存，服务器已自动在后台执行缓存工作流，无需手动提交",
    Reason.CHECK_ABSENT: "服务器没有这个缓存检查接口（404）",
    Reason.CHECK_UNRECOGNISED: "检查的应答无法识别，原文已保留",
    Reason.ACCESS_DENIED: "服务器要求登录凭据，或拒绝了现有凭据",
    Reason.PERMIT_GRANTED: "额度允许再预热一台，且队列空闲",
    Reason.PROMPT_IN_DOUBT: "之前提交的预热任务可能仍在进行，先查明其下落",
    Reason.PROMPT_ACCEPTED: "服务器已将我们的任务放入队列",
    Reason.PROMPT_REFUSED: "服务器拒绝了工作流，或拒绝了其中一部分",
    Reason.MISSING_NODES: "服务器缺少工作流需要的节点；没有提交",
    Reason.MISSING_MODELS: "服务器缺少工作流需要的模型文件；没有提交",
    Reason.WORKFLOW_NOT_API_FORMAT: "工作流文件无法使用；没有提交",
    Reason.PROMPT_SUCCEEDED: "我们的任务已成功结束；接下来由检查确认缓存是否就绪",
    Reason.PROMPT_FAILED: "我们的任务中有节点抛出异常",
    Reason.OUT_OF_MEMORY: "我们的任务耗尽了显存；ComfyUI 随后会卸载全部模型",
    Reason.PROMPT_INTERRUPTED: "有人中断了我们的任务",
    Reason.PROMPT_LOST: "已证实我们的任务既不在队列中，也不在运行，也不在历史里",
    Reason.CACHED_WITHOUT_LOADING: "任务成功但缓存节点并未运行，因此仍然缺少缓存",
    Reason.STILL_COLD_AFTER_SUCCESS: "任务已运行成功，但检查仍然缺少缓存",
    Reason.SERVER_RESTARTED: "服务器已重启：队列、历史和缓存都已丢失",
    Reason.FOREIGN_WORK_FINISHED: "其他任务已结束，缓存内容可能发生变化",
    Reason.CACHE_CHANGED: "服务器通知：缓存内容发生了变化",
    Reason.QUEUE_STUCK: "我们的任务长时间没有进展，仍在服务器上",
    Reason.LINK_LOST: "/ws 连接断开，之后的变化将无法得知",
    Reason.LINK_RESTORED: "/ws 连接已恢复，断开期间发生了什么不得而知",
    Reason.NOT_ANSWERING: "服务器连续多次没有应答",
    Reason.ANSWERING_AGAIN: "服务器恢复应答",
    Reason.RETRY_DUE: "失败后的长等待已结束",
    Reason.JOURNAL_UNAVAILABLE: "日志库无法写入，因此不能提交",
    Reason.CHECK_REQUESTED: "操作员要求检查",
    Reason.WARM_REQUESTED: "操作员要求预热",
    Reason.PAUSE_REQUESTED: "操作员将服务器停用",
    Reason.RESUME_REQUESTED: "操作员将服务器恢复",
    Reason.SETTINGS_CHANGED: "该服务器的设置或工作流已更改，将重新检查",
    Reason.NODE_CUT_OFF: "本节点与负责该服务器的节点失去联系，不了解其状况",
}

NOTICE_MEANINGS_ZH: dict[Notice, str] = {
    Notice.FLEET_VANISHED: "多数服务器同时无应答，问题很可能在我们这一侧：暂不下结论",
    Notice.FLEET_BACK: "服务器恢复应答，或暂停期已满：重新开始判断",
    Notice.JOURNAL_UNAVAILABLE: "日志库无法写入：继续监视，但不提交任何任务",
    Notice.JOURNAL_AVAILABLE: "日志库恢复写入",
    Notice.SETTINGS_RELOADED: "新的设置或工作流文件已生效",
    Notice.SETTINGS_REFUSED: "新的设置或工作流文件有误，继续使用原有设置",
    Notice.NODE_CUT_OFF: "本节点与集群失去联系：继续跟踪进行中的任务，但不提交任何新任务",
    Notice.NODE_BACK: "本节点已重新加入集群",
}


Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Phrases:
    """The sentences with something to fill in. `meanings` serve where an event says nothing more."""

    meanings: dict[Reason, str]
    notices: dict[Notice, str]
    all_cached: str
    missing: str
    loads_itself: str
    cached_by_executor: str
    trapped_again: str
    still_cold: str
    silent: str
    submitting: str
    submitting_varied: str
    accepted: str
    evicted: str
    all_there: str


ENGLISH = Phrases(
    meanings=REASON_MEANINGS,
    notices=NOTICE_MEANINGS,
    all_cached="the {kind} check says that everything asked for is cached",
    missing="the {kind} check misses {missing}",
    loads_itself="missing {missing}; the server is loading it by itself, so nothing is submitted",
    cached_by_executor="the prompt succeeded without running its cache nodes, and {missing} is still missing; "
    "the tag will be varied once",
    trapped_again="the prompt succeeded without running its cache nodes, and {missing} is still missing, "
    "even with its tag varied",
    still_cold="the prompt ran and succeeded, and the {kind} check still misses {missing}",
    silent="no answer {count} times in a row: {cause}",
    submitting="submitting workflow {workflow}",
    submitting_varied="submitting workflow {workflow}, with its tag varied",
    accepted="the server has our prompt of workflow {workflow}",
    evicted="the server says that {missing} is no longer cached",
    all_there="the server says that everything asked for is cached now",
)

CHINESE = Phrases(
    meanings=REASON_MEANINGS_ZH,
    notices=NOTICE_MEANINGS_ZH,
    all_cached="{kind} 检查：所需内容已全部缓存",
    missing="{kind} 检查：缺少 {missing}",
    loads_itself="缺少 {missing}；服务器正在后台自行加载，无需手动提交",
    cached_by_executor="任务成功但缓存节点并未运行，仍缺少 {missing}；将更换一次 tag 再试",
    trapped_again="任务成功但缓存节点并未运行，更换 tag 后仍缺少 {missing}",
    still_cold="任务已运行成功，但 {kind} 检查仍缺少 {missing}",
    silent="连续 {count} 次没有应答：{cause}",
    submitting="正在提交工作流 {workflow}",
    submitting_varied="正在提交工作流 {workflow}（已更换 tag）",
    accepted="服务器已收到我们的工作流 {workflow}",
    evicted="服务器通知：{missing} 已不在缓存中",
    all_there="服务器通知：所需内容现已全部缓存",
)

PHRASES: dict[Language, Phrases] = {"en": ENGLISH, "zh": CHINESE}


@singledispatch
def sentence(event: object, server: Server, reason: Reason, phrases: Phrases) -> str:
    """What happened, in one sentence: the event's own message, or the meaning of the reason."""
    return getattr(event, "message", "") or phrases.meanings[reason]


@sentence.register
def _check_answered(event: events.CheckAnswered, server: Server, reason: Reason, phrases: Phrases) -> str:
    missing = ", ".join(event.missing) or ", ".join(event.needed)
    return _check_phrase(event, server, reason, phrases).format(kind=event.kind, missing=missing)


def _check_phrase(event: events.CheckAnswered, server: Server, reason: Reason, phrases: Phrases) -> str:
    if not event.needed:
        return phrases.all_cached
    if reason is Reason.SERVER_AUTO_EXECUTING:
        return phrases.loads_itself
    if reason is Reason.CACHED_WITHOUT_LOADING:
        varied = server.succeeded is not None and server.succeeded.varied_tag
        return phrases.trapped_again if varied else phrases.cached_by_executor
    return phrases.still_cold if reason is Reason.STILL_COLD_AFTER_SUCCESS else phrases.missing


@sentence.register
def _not_answering(event: events.NotAnswering, server: Server, reason: Reason, phrases: Phrases) -> str:
    return phrases.silent.format(count=server.consecutive_failures, cause=event.message)


@sentence.register
def _submission_started(event: events.SubmissionStarted, server: Server, reason: Reason, phrases: Phrases) -> str:
    phrase = phrases.submitting_varied if event.varied_tag else phrases.submitting
    return phrase.format(workflow=event.workflow)


@sentence.register
def _prompt_accepted(event: events.PromptAccepted, server: Server, reason: Reason, phrases: Phrases) -> str:
    return phrases.accepted.format(workflow=server.attempt.workflow if server.attempt else "?")


@sentence.register
def _cache_reported(event: events.CacheReported, server: Server, reason: Reason, phrases: Phrases) -> str:
    """A frame that was lost may have told anything."""
    if server.cache_change is CacheChange.COMPLETE:
        return phrases.all_there
    lacking = server.node_cursor.lacks(event.present) if server.node_cursor is not None else ()
    known = reason is Reason.CACHE_CHANGED and lacking and not event.truncated
    return phrases.evicted.format(missing=", ".join(lacking)) if known else phrases.meanings[reason]
