"""The words that every room shares: states, reason codes and witnesses.

Outsiders read these words in /api/status, in the event log and in alerts: a value, once released, keeps its meaning.
"""

from enum import Enum, StrEnum


class State(Enum):
    """Where one server stands. The value is the public name."""

    __hash__ = object.__hash__  # Enum's own, in Python, is called for each look into a table of states

    UNKNOWN = "unknown"
    CHECKING = "checking"
    LOADED = "loaded"
    COLD = "cold"
    AUTO_EXECUTING = "auto_executing"
    SUBMITTING = "submitting"
    WARMING = "warming"
    UNREACHABLE = "unreachable"
    FAILED = "failed"
    PAUSED = "paused"


STATE_MEANINGS: dict[State, str] = {
    State.UNKNOWN: "nothing is known, or what was known is stale",
    State.CHECKING: "the cache check is being asked, and no earlier verdict stands",
    State.LOADED: "everything asked for is cached",
    State.COLD: "something is missing and nobody is loading it: waiting for a permit, an idle queue or a backoff",
    State.AUTO_EXECUTING: "something is missing and the server is loading it by itself (后台执行中)",
    State.SUBMITTING: "our POST /prompt is on its way, or its fate is being found out",
    State.WARMING: "our prompt is queued or running",
    State.UNREACHABLE: "the server does not answer",
    State.FAILED: "a diagnosed reason makes another try useless for now",
    State.PAUSED: "the operator took it out",
}


IN_FLIGHT = (State.SUBMITTING, State.WARMING)
"""A prompt of ours is on its way to the server, or with it."""


class Reason(StrEnum):
    """Why a server is where it is. Never a free text; the sentence beside it is."""

    DAEMON_STARTED = "daemon_started"
    CHECK_STARTED = "check_started"
    ALL_CACHED = "all_cached"
    KEYS_MISSING = "keys_missing"
    SERVER_AUTO_EXECUTING = "server_auto_executing"
    CHECK_ABSENT = "check_absent"
    CHECK_UNRECOGNISED = "check_unrecognised"
    ACCESS_DENIED = "access_denied"
    PERMIT_GRANTED = "permit_granted"
    PROMPT_IN_DOUBT = "prompt_in_doubt"
    PROMPT_ACCEPTED = "prompt_accepted"
    PROMPT_REFUSED = "prompt_refused"
    MISSING_NODES = "missing_nodes"
    MISSING_MODELS = "missing_models"
    WORKFLOW_NOT_API_FORMAT = "workflow_not_api_format"
    PROMPT_SUCCEEDED = "prompt_succeeded"
    PROMPT_FAILED = "prompt_failed"
    OUT_OF_MEMORY = "out_of_memory"
    PROMPT_INTERRUPTED = "prompt_interrupted"
    PROMPT_LOST = "prompt_lost"
    CACHED_WITHOUT_LOADING = "cached_without_loading"
    STILL_COLD_AFTER_SUCCESS = "still_cold_after_success"
    SERVER_RESTARTED = "server_restarted"
    FOREIGN_WORK_FINISHED = "foreign_work_finished"
    CACHE_CHANGED = "cache_changed"
    QUEUE_STUCK = "queue_stuck"
    LINK_LOST = "link_lost"
    LINK_RESTORED = "link_restored"
    NOT_ANSWERING = "not_answering"
    ANSWERING_AGAIN = "answering_again"
    RETRY_DUE = "retry_due"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    CHECK_REQUESTED = "check_requested"
    WARM_REQUESTED = "warm_requested"
    PAUSE_REQUESTED = "pause_requested"
    RESUME_REQUESTED = "resume_requested"
    SETTINGS_CHANGED = "settings_changed"
    NODE_CUT_OFF = "node_cut_off"


REASON_MEANINGS: dict[Reason, str] = {
    Reason.DAEMON_STARTED: "the daemon has just taken the server up and knows nothing of it yet",
    Reason.CHECK_STARTED: "the cache check is being asked",
    Reason.ALL_CACHED: "the check said that everything asked for is cached",
    Reason.KEYS_MISSING: "the check said that keys are missing, and nobody is loading them",
    Reason.SERVER_AUTO_EXECUTING: "keys are missing, and the server has started its own cache workflow",
    Reason.CHECK_ABSENT: "the server has no such cache check (404)",
    Reason.CHECK_UNRECOGNISED: "the check answered something that is not understood; its raw text is kept",
    Reason.ACCESS_DENIED: "the server wants credentials, or refuses those it was given",
    Reason.PERMIT_GRANTED: "the budgets allow one more warm-up, and the queue is free",
    Reason.PROMPT_IN_DOUBT: "an earlier warm-up of ours may still be in flight; its fate is looked up first",
    Reason.PROMPT_ACCEPTED: "the server has our prompt in its queue",
    Reason.PROMPT_REFUSED: "the server refused the workflow, or a part of it",
    Reason.MISSING_NODES: "the workflow needs node classes that the server does not have; nothing was posted",
    Reason.MISSING_MODELS: "the workflow needs model files that the server does not list; nothing was posted",
    Reason.WORKFLOW_NOT_API_FORMAT: "the workflow's file cannot be used; nothing was posted",
    Reason.PROMPT_SUCCEEDED: "our prompt ended well; a check must now confirm that the keys are there",
    Reason.PROMPT_FAILED: "a node of our prompt raised an exception",
    Reason.OUT_OF_MEMORY: "our prompt ran out of memory; ComfyUI has then unloaded all its models",
    Reason.PROMPT_INTERRUPTED: "somebody interrupted our prompt",
    Reason.PROMPT_LOST: "our prompt is proved to be neither queued, nor running, nor in history",
    Reason.CACHED_WITHOUT_LOADING: "the prompt succeeded without running the cache nodes, so the keys stay missing",
    Reason.STILL_COLD_AFTER_SUCCESS: "the prompt ran and succeeded, and yet the check still misses keys",
    Reason.SERVER_RESTARTED: "the server was restarted: its queue, its history and its cache are gone",
    Reason.FOREIGN_WORK_FINISHED: "other work than ours has finished, and may have changed what is cached",
    Reason.CACHE_CHANGED: "the server said that what is cached has changed",
    Reason.QUEUE_STUCK: "our prompt has made no progress for too long; it is still with the server",
    Reason.LINK_LOST: "the /ws connection broke, so changes would go unheard",
    Reason.LINK_RESTORED: "the /ws connection is back, and what happened meanwhile is unknown",
    Reason.NOT_ANSWERING: "the server failed to answer several times in a row",
    Reason.ANSWERING_AGAIN: "the server answers again",
    Reason.RETRY_DUE: "the long backoff of a failure has ended",
    Reason.JOURNAL_UNAVAILABLE: "the journal cannot be written, so nothing may be submitted",
    Reason.CHECK_REQUESTED: "the operator asked for a check",
    Reason.WARM_REQUESTED: "the operator asked for a warm-up",
    Reason.PAUSE_REQUESTED: "the operator took the server out",
    Reason.RESUME_REQUESTED: "the operator gave the server back",
    Reason.SETTINGS_CHANGED: "the settings or the workflow of the server have changed, so it is looked at anew",
    Reason.NODE_CUT_OFF: "this node is cut off from the one that looks after the server, and knows nothing of it",
}


class Notice(StrEnum):
    """What concerns more than one server: the reason code of a notice."""

    FLEET_VANISHED = "fleet_vanished"
    FLEET_BACK = "fleet_back"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    JOURNAL_AVAILABLE = "journal_available"
    SETTINGS_RELOADED = "settings_reloaded"
    SETTINGS_REFUSED = "settings_refused"
    NODE_CUT_OFF = "node_cut_off"
    NODE_BACK = "node_back"


NOTICE_MEANINGS: dict[Notice, str] = {
    Notice.FLEET_VANISHED: "most servers stopped answering at once, which is probably our side: verdicts are held",
    Notice.FLEET_BACK: "servers answer again, or the hold has lasted its time: verdicts are given again",
    Notice.JOURNAL_UNAVAILABLE: "the journal cannot be written: everything is watched, and nothing is submitted",
    Notice.JOURNAL_AVAILABLE: "the journal can be written again",
    Notice.SETTINGS_RELOADED: "changed settings or workflow files are in force",
    Notice.SETTINGS_REFUSED: "changed settings or workflow files are wrong: the old ones stay in force",
    Notice.NODE_CUT_OFF: "this node is cut off from its cluster: what is in flight is followed, nothing is submitted",
    Notice.NODE_BACK: "this node is a member of its cluster again",
}


class Source(StrEnum):
    """Who proved what a transition rests on."""

    WS = "ws"
    HISTORY = "history"
    QUEUE = "queue"
    CHECK = "check"
    OPERATOR = "operator"
    REPLY = "reply"
    PREFLIGHT = "preflight"
    PROBE = "probe"
    LINK = "link"
    DAEMON = "daemon"
