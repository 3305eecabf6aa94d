"""The sentence that a transition says to people, for events that do not bring one of their own."""

from functools import singledispatch

from statemachine.core import events
from statemachine.core.server import Server
from statemachine.core.vocabulary import REASON_MEANINGS, Reason


@singledispatch
def sentence(event: object, server: Server, reason: Reason) -> str:
    """What happened, in one sentence: the event's own message, or the meaning of the reason."""
    return getattr(event, "message", "") or REASON_MEANINGS[reason]


@sentence.register
def _check_answered(event: events.CheckAnswered, server: Server, reason: Reason) -> str:
    if not event.needed:
        return f"the {event.kind} check says that everything asked for is cached"
    missing = ", ".join(event.missing) or ", ".join(event.needed)
    if reason is Reason.SERVER_AUTO_EXECUTING:
        return f"missing {missing}; the server is loading it by itself, so nothing is submitted"
    if reason is Reason.CACHED_WITHOUT_LOADING:
        varied = server.succeeded is not None and server.succeeded.varied_tag
        cure = "even with its tag varied" if varied else "the tag will be varied once"
        return f"the prompt succeeded without running its cache nodes, and {missing} is still missing; {cure}"
    if reason is Reason.STILL_COLD_AFTER_SUCCESS:
        return f"the prompt ran and succeeded, and the {event.kind} check still misses {missing}"
    return f"the {event.kind} check misses {missing}"


@sentence.register
def _not_answering(event: events.NotAnswering, server: Server, reason: Reason) -> str:
    return f"no answer {server.misses} times in a row: {event.message}"


@sentence.register
def _submission_started(event: events.SubmissionStarted, server: Server, reason: Reason) -> str:
    cure = ", with its tag varied" if event.varied_tag else ""
    return f"submitting workflow {event.workflow}{cure}"


@sentence.register
def _prompt_accepted(event: events.PromptAccepted, server: Server, reason: Reason) -> str:
    workflow = server.attempt.workflow if server.attempt else "?"
    return f"the server has our prompt of workflow {workflow}"
