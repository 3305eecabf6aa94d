"""The sentence that a transition says to people, in the language of the settings.

What a server or a library said (an exception, a refusal) stays in its own words.
"""

from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

from statemachine.core import events
from statemachine.core.meanings_zh import NOTICE_MEANINGS_ZH, REASON_MEANINGS_ZH
from statemachine.core.server import CacheNews, Server
from statemachine.core.vocabulary import NOTICE_MEANINGS, REASON_MEANINGS, Notice, Reason

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Phrases:
    """The sentences with something to fill in. `meanings` serve where an event says nothing more."""

    meanings: dict[Reason, str]
    notices: dict[Notice, str]
    all_cached: str
    missing: str
    loads_itself: str
    trapped: str
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
    trapped="the prompt succeeded without running its cache nodes, and {missing} is still missing; "
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
    trapped="任务成功但缓存节点并未运行，仍缺少 {missing}；将更换一次 tag 再试",
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
        return phrases.trapped_again if varied else phrases.trapped
    return phrases.still_cold if reason is Reason.STILL_COLD_AFTER_SUCCESS else phrases.missing


@sentence.register
def _not_answering(event: events.NotAnswering, server: Server, reason: Reason, phrases: Phrases) -> str:
    return phrases.silent.format(count=server.misses, cause=event.message)


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
    if server.cache_news is CacheNews.COMPLETE:
        return phrases.all_there
    lacking = server.companion.lacks(event.present) if server.companion is not None else ()
    known = reason is Reason.CACHE_CHANGED and lacking and not event.truncated
    return phrases.evicted.format(missing=", ".join(lacking)) if known else phrases.meanings[reason]
