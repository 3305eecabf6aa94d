"""The lines of `status`: a summary, then one line for each server, trouble first."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from statemachine.cli.columns import GAP, aligned, headings
from statemachine.cli.wording import message_text, reason_text, state_text
from statemachine.client import ServerAnswer, StatusAnswer
from statemachine.core.messages import message, one_line, verbatim
from statemachine.core.vocabulary import State
from statemachine.i18n.render import render
from statemachine.i18n.text import Language

TROUBLE_FIRST = (
    State.FAILED,
    State.UNREACHABLE,
    State.COLD,
    State.RESTARTING,
    State.DRAINING,
    State.WARMING,
    State.SUBMITTING,
    State.AUTO_EXECUTING,
    State.UNKNOWN,
    State.CHECKING,
    State.PAUSED,
    State.LOADED,
)
_RANKS = {state.value: rank for rank, state in enumerate(TROUBLE_FIRST)}


def sorted_servers(servers: Sequence[ServerAnswer]) -> list[ServerAnswer]:
    """Return the servers with the most severe state first; equals stay in the order of the settings."""
    return sorted(servers, key=lambda server: _RANKS.get(server["state"], len(_RANKS)))


def status_lines(
    answer: StatusAnswer,
    notes: Sequence[Text],
    language: Language,
    width: int | None = None,
    rows: int | None = None,
) -> Text:
    """Return the summary, the notes and at most `rows` servers, cut to `width` cells. None: no limit."""
    servers = sorted_servers(answer["servers"])
    shown = servers[:rows]
    lines = [summary_line(servers, language), *notes, *_table(shown, answer, language, width)]
    if hidden := servers[len(shown) :]:
        lines.append(_hidden_line(hidden, language))
    return Text("\n").join(lines)


def summary_line(servers: Sequence[ServerAnswer], language: Language) -> Text:
    """Return how many servers are loaded, and how many are in each state."""
    loaded = sum(server["cache_loaded"] for server in servers)
    total = message("cli.summary", loaded=loaded, total=len(servers))
    return Text(render(total, language)).append_text(_counts(servers, language))


def _counts(servers: Sequence[ServerAnswer], language: Language) -> Text:
    counts = Counter(server["state"] for server in servers)
    return Text(", ").join(state_text(state, language).append(f" {count}") for state, count in counts.items())


def _hidden_line(hidden: Sequence[ServerAnswer], language: Language) -> Text:
    more = render(message("cli.more_servers", count=len(hidden)), language)
    return Text(more, style="dim").append_text(_counts(hidden, language))


def _table(servers: Sequence[ServerAnswer], answer: StatusAnswer, language: Language, width: int | None) -> list[Text]:
    """Return a heading and a line for each server. The last column is cut, never a name."""
    has_groups = len({server["group"] for server in servers}) > 1
    names = ("server", *(("group",) if has_groups else ()), "state", "since", "queue", "why")
    rows = [_cells(server, answer["generated_at"], language, has_groups=has_groups) for server in servers]
    return aligned([headings(names, language), *rows], width)


def _cells(server: ServerAnswer, now: str, language: Language, *, has_groups: bool) -> list[Text]:
    state = state_text(server["state"], language)
    if server["progress"] is not None:
        state.append(f" {server['progress']:.0%}")
    queue = server["queue_remaining"]
    return [
        Text(one_line(server["name"])),
        *([Text(one_line(server["group"]))] if has_groups else []),
        state,
        Text(age(server["since"], now), style="dim"),
        Text("" if queue is None else str(queue)),
        _why(server, now, language),
    ]


def _why(server: ServerAnswer, now: str, language: Language) -> Text:
    """Return the reason, what a server that is not loaded waits for, and the message."""
    parts = [Text(reason_text(server["reason"], language), style="bold")]
    if not server["cache_loaded"]:
        parts.append(Text(waiting_text(server, now, language)))
    parts.append(Text(one_line(message_text(server, language))))
    return Text(GAP).join(parts)


def age(since: str | None, now: str) -> str:
    """Return how long ago that was, such as 45s, 12m, 3h or 2d. Both times are of the daemon's clock."""
    if since is None:
        return ""
    seconds = max(0, int((datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def waiting_text(server: ServerAnswer, now: str, language: Language) -> str:
    """Return what a server of /api/status waits for, with the time. `now` is the daemon's time."""
    what = one_line(message_text(server, language, "waiting_for"))
    next_action_at = server.get("next_action_at")
    if not what or next_action_at is None:
        return what
    at, present = datetime.fromisoformat(next_action_at), datetime.fromisoformat(now)
    if server.get("next_action_at_most"):
        said = message("cli.wait_at_most", what=verbatim(what), time=_clock(at, present))
    elif at <= present:
        said = message("cli.wait_due", what=verbatim(what))
    else:
        said = message("cli.wait_in", what=verbatim(what), duration=_duration((at - present).total_seconds(), language))
    return render(said, language)


def _clock(at: datetime, present: datetime) -> str:
    """Return the time of day here, with the date unless it is today."""
    here = at.astimezone()
    is_today = here.date() == present.astimezone().date()
    return here.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def _duration(seconds: float, language: Language) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return render(message("cli.seconds", count=f"{seconds:.0f}"), language)
    return render(message("cli.minutes", count=f"{seconds / 60:.0f}"), language)
