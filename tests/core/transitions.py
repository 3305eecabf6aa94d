"""The events of every kind, and the transition that each makes in each state."""

from collections.abc import Callable, Sequence

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from tests.core.builders import (
    MachineDriver,
    accepted,
    cache_frame,
    failed,
    hook_started,
    interrupted,
    queue,
    succeeded,
)

S, R, W = State, Reason, Source
Scenario = Callable[[MachineDriver], Sequence[e.Event]]
MISS, HIT = e.NotAnswering(verbatim("timed out")), e.Answering()

SCENARIOS: dict[str, Scenario] = {
    "check started": lambda _: [e.CheckStarted()],
    "all cached": lambda b: [b.answer()],
    "missing": lambda b: [b.answer("k1")],
    "auto executing": lambda b: [b.answer("k1", auto=True)],
    "stale all cached": lambda b: [b.answer(age=1)],
    "stale auto executing": lambda b: [b.answer("k1", auto=True, age=1)],
    "unrecognised": lambda _: [e.CheckUnusable(R.CHECK_UNRECOGNISED, verbatim("?"))],
    "check absent": lambda _: [e.CheckUnusable(R.CHECK_ABSENT, verbatim("404"))],
    "access denied": lambda _: [e.CheckUnusable(R.ACCESS_DENIED, verbatim("401"))],
    "rate limited": lambda _: [e.CheckUnusable(R.RATE_LIMITED, verbatim("429"))],
    "two misses": lambda _: [MISS, MISS],
    "three misses": lambda _: [MISS, MISS, MISS],
    "one answer": lambda _: [HIT],
    "two answers": lambda _: [HIT, HIT],
    "link opened": lambda _: [e.LinkOpened("c1", refused_before=False)],
    "link opened again": lambda _: [e.LinkOpened(name, refused_before=False) for name in ("c1", "c2")],
    "link opened late": lambda _: [e.LinkOpened("c1", refused_before=False, failed_before=True)],
    "restarted": lambda _: [e.LinkOpened("c2", refused_before=True)],
    "link lost": lambda _: [e.LinkLost(verbatim("closed"))],
    "queue rose": lambda _: [queue(0), queue(2)],
    "queue fell": lambda _: [queue(2), queue(1)],
    "queue emptied": lambda _: [queue(1), queue(0)],
    "queue empty": lambda _: [queue(0), queue(0)],
    "keys lost": lambda _: [cache_frame("k1", sequence=6)],
    "keys present": lambda _: [cache_frame("k1", "k2", "k3", sequence=6)],
    "other instance": lambda _: [cache_frame("k1", "k2", sequence=1, instance="i2")],
    "queue drained": lambda _: [e.QueueDrained()],
    "foreign load": lambda _: [e.ForeignLoadDetected(verbatim("prompt x"))],
    "preflight failed": lambda _: [e.PreflightFailed(R.MISSING_MODELS, verbatim("no such file"))],
    "delayed": lambda _: [e.SubmissionDelayed(R.QUEUE_UNANSWERED, verbatim("no answer"))],
    "withheld": lambda _: [e.SubmissionWithheld(verbatim("disk full"))],
    "unanswered": lambda _: [e.SubmissionUnanswered(verbatim("timed out"), answered=False)],
    "limited": lambda _: [e.SubmissionLimited(verbatim("429"))],
    "uncertain": lambda _: [e.SubmissionUncertain()],
    "accepted": lambda _: [accepted()],
    "refused": lambda _: [e.PromptRefused(R.PROMPT_REFUSED, verbatim("no"))],
    "refused by the rate": lambda _: [e.PromptRefused(R.RATE_LIMITED, verbatim("429"))],
    "partly refused": lambda _: [e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True)],
    "cached": lambda _: [e.PromptCached("ours", ("10",))],
    "node started": lambda _: [e.PromptNodeStarted("ours", "10")],
    "progress": lambda _: [e.PromptProgress("ours", 1.5)],
    "succeeded by ws": lambda _: [succeeded()],
    "succeeded by history": lambda _: [succeeded(proved_by=W.HISTORY)],
    "failed by ws": lambda _: [failed()],
    "failed by history": lambda _: [failed(proved_by=W.HISTORY)],
    "out of memory by ws": lambda _: [failed(memory=True)],
    "out of memory by history": lambda _: [failed(proved_by=W.HISTORY, memory=True)],
    "interrupted by ws": lambda _: [interrupted()],
    "interrupted by history": lambda _: [interrupted(proved_by=W.HISTORY)],
    "lost": lambda _: [e.PromptAbsent(R.PROMPT_LOST, verbatim("gone"))],
    "lost by restart": lambda _: [e.PromptAbsent(R.SERVER_RESTARTED, verbatim("gone"))],
    "stuck": lambda _: [e.PromptStuck(verbatim("no progress"))],
    "retry due": lambda _: [e.RetryDue()],
    "check requested": lambda _: [e.CheckRequested()],
    "warm requested": lambda _: [e.WarmRequested()],
    "paused": lambda _: [e.PauseRequested()],
    "resumed": lambda _: [e.ResumeRequested()],
    "settings changed": lambda _: [e.SettingsChanged()],
    "restart requested": lambda _: [e.RestartRequested("r1")],
    "hook started": lambda _: [hook_started()],
    "restart withheld": lambda _: [e.RestartWithheld(R.DRAIN_TIMED_OUT, verbatim("busy"))],
    "server returned": lambda _: [e.ServerReturned()],
    "restart failed": lambda _: [e.RestartFailed(R.HOOK_FAILED, verbatim("status 1"))],
    "restart limit": lambda _: [e.RestartLimitReached(verbatim("3 times"))],
}

Expected = dict[str, tuple[State, Reason, Source]]

UNREACHABLE: Expected = {"three misses": (S.UNREACHABLE, R.NOT_ANSWERING, W.PROBE)}
PAUSE: Expected = {"paused": (S.PAUSED, R.PAUSE_REQUESTED, W.OPERATOR)}
DRAIN: Expected = {"restart requested": (S.DRAINING, R.RESTART_REQUESTED, W.OPERATOR)}
LIMIT: Expected = {"restart limit": (S.FAILED, R.RESTART_LIMIT, W.DAEMON)}
RESTARTED: Expected = {"restarted": (S.UNKNOWN, R.SERVER_RESTARTED, W.LINK)}
OPERATOR: Expected = {
    "check requested": (S.UNKNOWN, R.CHECK_REQUESTED, W.OPERATOR),
    "warm requested": (S.UNKNOWN, R.WARM_REQUESTED, W.OPERATOR),
}
CHANGED: Expected = {"settings changed": (S.UNKNOWN, R.SETTINGS_CHANGED, W.DAEMON)}
USELESS_CHECK: Expected = {
    "unrecognised": (S.UNKNOWN, R.CHECK_UNRECOGNISED, W.CHECK),
    "check absent": (S.FAILED, R.CHECK_ABSENT, W.CHECK),
    "access denied": (S.FAILED, R.ACCESS_DENIED, W.CHECK),
    "rate limited": (S.UNKNOWN, R.RATE_LIMITED, W.CHECK),
}
LOADED: Expected = {"all cached": (S.LOADED, R.ALL_CACHED, W.CHECK)}
COLD: Expected = {"missing": (S.COLD, R.KEYS_MISSING, W.CHECK)}
AUTO: Expected = {
    "auto executing": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.CHECK),
    "stale auto executing": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.CHECK),
}
ENDS_BY_HISTORY: Expected = {
    "succeeded by history": (S.CHECKING, R.PROMPT_SUCCEEDED, W.HISTORY),
    "failed by history": (S.FAILED, R.PROMPT_FAILED, W.HISTORY),
    "out of memory by history": (S.FAILED, R.OUT_OF_MEMORY, W.HISTORY),
    "interrupted by history": (S.UNKNOWN, R.PROMPT_INTERRUPTED, W.HISTORY),
    "lost": (S.UNKNOWN, R.PROMPT_LOST, W.HISTORY),
    "lost by restart": (S.UNKNOWN, R.SERVER_RESTARTED, W.HISTORY),
    "stuck": (S.FAILED, R.QUEUE_STUCK, W.QUEUE),
}

EXPECTED: dict[State, Expected] = {
    S.UNKNOWN: {
        **UNREACHABLE,
        **PAUSE,
        **DRAIN,
        "check started": (S.CHECKING, R.CHECK_STARTED, W.DAEMON),
        "foreign load": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.QUEUE),
        "preflight failed": (S.FAILED, R.MISSING_MODELS, W.PREFLIGHT),
    },
    S.CHECKING: {**UNREACHABLE, **CHANGED, **PAUSE, **DRAIN, **USELESS_CHECK, **LOADED, **COLD, **AUTO},
    S.LOADED: {
        **UNREACHABLE,
        **LIMIT,
        **CHANGED,
        **PAUSE,
        **DRAIN,
        **USELESS_CHECK,
        **COLD,
        **AUTO,
        **RESTARTED,
        **OPERATOR,
        "link opened again": (S.UNKNOWN, R.LINK_RESTORED, W.LINK),
        "link opened late": (S.UNKNOWN, R.LINK_RESTORED, W.LINK),
        "link lost": (S.UNKNOWN, R.LINK_LOST, W.LINK),
        "queue fell": (S.UNKNOWN, R.FOREIGN_WORK_FINISHED, W.WS),
        "queue emptied": (S.UNKNOWN, R.FOREIGN_WORK_FINISHED, W.WS),
    },
    S.COLD: {
        **UNREACHABLE,
        **LIMIT,
        **CHANGED,
        **PAUSE,
        **DRAIN,
        **USELESS_CHECK,
        **LOADED,
        **AUTO,
        **RESTARTED,
        **OPERATOR,
        "link opened again": (S.UNKNOWN, R.LINK_RESTORED, W.LINK),
        "link opened late": (S.UNKNOWN, R.LINK_RESTORED, W.LINK),
        "queue drained": (S.CHECKING, R.FOREIGN_WORK_FINISHED, W.QUEUE),
        "foreign load": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.QUEUE),
        "preflight failed": (S.FAILED, R.MISSING_MODELS, W.PREFLIGHT),
        "delayed": (S.COLD, R.QUEUE_UNANSWERED, W.QUEUE),
    },
    S.AUTO_EXECUTING: {
        **UNREACHABLE,
        **LIMIT,
        **CHANGED,
        **PAUSE,
        **DRAIN,
        **RESTARTED,
        **USELESS_CHECK,
        "stuck": (S.FAILED, R.QUEUE_STUCK, W.QUEUE),
        "queue drained": (S.CHECKING, R.FOREIGN_WORK_FINISHED, W.QUEUE),
    },
    S.SUBMITTING: {
        **UNREACHABLE,
        **CHANGED,
        **PAUSE,
        **DRAIN,
        **ENDS_BY_HISTORY,
        "withheld": (S.COLD, R.JOURNAL_UNAVAILABLE, W.DAEMON),
        "accepted": (S.WARMING, R.PROMPT_ACCEPTED, W.REPLY),
        "refused": (S.FAILED, R.PROMPT_REFUSED, W.REPLY),
        "partly refused": (S.FAILED, R.PROMPT_REFUSED, W.REPLY),
        "limited": (S.UNKNOWN, R.RATE_LIMITED, W.REPLY),
        "refused by the rate": (S.UNKNOWN, R.RATE_LIMITED, W.REPLY),
    },
    S.WARMING: {
        **UNREACHABLE,
        **CHANGED,
        **PAUSE,
        **DRAIN,
        **ENDS_BY_HISTORY,
        "succeeded by ws": (S.CHECKING, R.PROMPT_SUCCEEDED, W.WS),
        "failed by ws": (S.FAILED, R.PROMPT_FAILED, W.WS),
        "out of memory by ws": (S.FAILED, R.OUT_OF_MEMORY, W.WS),
        "interrupted by ws": (S.UNKNOWN, R.PROMPT_INTERRUPTED, W.WS),
    },
    S.UNREACHABLE: {**CHANGED, **PAUSE, **DRAIN, "two answers": (S.UNKNOWN, R.ANSWERING_AGAIN, W.PROBE)},
    S.FAILED: {
        **UNREACHABLE,
        **LIMIT,
        **CHANGED,
        **PAUSE,
        **DRAIN,
        **RESTARTED,
        **OPERATOR,
        "retry due": (S.UNKNOWN, R.RETRY_DUE, W.DAEMON),
    },
    S.PAUSED: {"resumed": (S.UNKNOWN, R.RESUME_REQUESTED, W.OPERATOR)},
    S.DRAINING: {
        **PAUSE,
        "resumed": (S.UNKNOWN, R.RESTART_CANCELLED, W.OPERATOR),
        "hook started": (S.RESTARTING, R.HOOK_STARTED, W.DAEMON),
        "restart withheld": (S.UNKNOWN, R.DRAIN_TIMED_OUT, W.DAEMON),
    },
    S.RESTARTING: {
        **PAUSE,
        "server returned": (S.UNKNOWN, R.SERVER_RETURNED, W.PROBE),
        "restart failed": (S.FAILED, R.HOOK_FAILED, W.DAEMON),
    },
}
