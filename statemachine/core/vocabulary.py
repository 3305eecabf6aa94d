"""States, reason codes, sources and notices. `statemachine.i18n` has their meanings.

They are public: clients read them in /api/status, the event log and alerts, so a released value keeps its meaning.
"""

from enum import Enum, StrEnum


class State(Enum):
    """The state of one server. The value is the public name."""

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
    DRAINING = "draining"
    RESTARTING = "restarting"


IN_FLIGHT = (State.SUBMITTING, State.WARMING)
"""States in which a prompt of ours may be on the server."""


class Reason(StrEnum):
    """Why a server is in its state: a code, beside which every transition has a message."""

    DAEMON_STARTED = "daemon_started"
    CHECK_STARTED = "check_started"
    ALL_CACHED = "all_cached"
    KEYS_MISSING = "keys_missing"
    MODELS_UNLOADED = "models_unloaded"
    SERVER_AUTO_EXECUTING = "server_auto_executing"
    CHECK_ABSENT = "check_absent"
    CHECK_UNRECOGNISED = "check_unrecognised"
    ACCESS_DENIED = "access_denied"
    RATE_LIMITED = "rate_limited"
    CACHE_DISABLED = "cache_disabled"
    CACHE_TOO_SMALL = "cache_too_small"
    PERMIT_GRANTED = "permit_granted"
    PROMPT_IN_DOUBT = "prompt_in_doubt"
    PROMPT_ACCEPTED = "prompt_accepted"
    PROMPT_REFUSED = "prompt_refused"
    MISSING_NODES = "missing_nodes"
    MISSING_MODELS = "missing_models"
    WORKFLOW_NOT_API_FORMAT = "workflow_not_api_format"
    WORKFLOW_MISSING = "workflow_missing"
    PROMPT_SUCCEEDED = "prompt_succeeded"
    PROMPT_FAILED = "prompt_failed"
    OUT_OF_MEMORY = "out_of_memory"
    PROMPT_INTERRUPTED = "prompt_interrupted"
    PROMPT_LOST = "prompt_lost"
    WARM_UP_ENDS_SERVER = "warm_up_ends_server"
    CONTESTED = "contested"
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
    QUEUE_UNANSWERED = "queue_unanswered"
    CHECK_REQUESTED = "check_requested"
    WARM_REQUESTED = "warm_requested"
    PAUSE_REQUESTED = "pause_requested"
    PAUSE_ENDED = "pause_ended"
    RESUME_REQUESTED = "resume_requested"
    SETTINGS_CHANGED = "settings_changed"
    NODE_CUT_OFF = "node_cut_off"
    RESTART_REQUESTED = "restart_requested"
    DRAIN_TIMED_OUT = "drain_timed_out"
    RESTART_CANCELLED = "restart_cancelled"
    RESTART_LIMIT = "restart_limit"
    HOOK_STARTED = "hook_started"
    HOOK_FAILED = "hook_failed"
    HOOK_MISSING = "hook_missing"
    SERVER_RETURNED = "server_returned"
    NOT_RETURNED = "not_returned"
    NOT_RESTARTED = "not_restarted"
    NOT_WARMED = "not_warmed"


NEW_PROCESS = frozenset({Reason.SERVER_RESTARTED, Reason.SERVER_RETURNED})
"""Reasons that report another process of the server, which has no models and no prompts."""


class Notice(StrEnum):
    """The reason code of a notice: an event that concerns the daemon or several servers."""

    FLEET_VANISHED = "fleet_vanished"
    FLEET_BACK = "fleet_back"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    JOURNAL_AVAILABLE = "journal_available"
    SETTINGS_RELOADED = "settings_reloaded"
    SETTINGS_REFUSED = "settings_refused"
    NODE_CUT_OFF = "node_cut_off"
    NODE_BACK = "node_back"
    DISCOVERY_CHANGED = "discovery_changed"
    DISCOVERY_FAILED = "discovery_failed"
    DISCOVERY_RECOVERED = "discovery_recovered"
    DISCOVERY_REFUSED = "discovery_refused"
    DISCOVERY_HELD = "discovery_held"
    ROLLOUT_STARTED = "rollout_started"
    ROLLOUT_PAUSED = "rollout_paused"
    ROLLOUT_RESUMED = "rollout_resumed"
    ROLLOUT_DONE = "rollout_done"
    ROLLOUT_ABORTED = "rollout_aborted"
    ROLLOUT_CANCELLED = "rollout_cancelled"
    RESTART_WITHHELD = "restart_withheld"


class Source(StrEnum):
    """What confirmed a transition."""

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
