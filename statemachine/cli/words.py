"""How states and reasons look to people: a word in their language, and a colour that is never the only sign."""

from rich.text import Text

from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.names import REASONS, STATES, Language

ZH_HEADINGS = {
    "Server": "服务器",
    "Group": "分组",
    "State": "状态",
    "Check": "检查方式",
    "Why": "原因",
    "Queue": "队列",
    "servers loaded": "台服务器已加载",
    "notice": "通知",
}

STYLES = {
    State.UNKNOWN: "dim",
    State.CHECKING: "cyan",
    State.LOADED: "green",
    State.COLD: "yellow",
    State.AUTO_EXECUTING: "blue",
    State.SUBMITTING: "magenta",
    State.WARMING: "magenta",
    State.UNREACHABLE: "red",
    State.FAILED: "bold red",
    State.PAUSED: "dim",
}


def state_text(value: str, language: Language) -> Text:
    """A state of the API. English keeps the public name; one of a newer daemon is shown as it is."""
    try:
        state = State(value)
    except ValueError:
        return Text(value)
    return Text(STATES[state].zh if language == "zh" else value, style=STYLES[state])


def reason_text(value: str, language: Language) -> str:
    """A reason of the API, likewise."""
    known = language == "zh" and value in set(Reason)
    return REASONS[Reason(value)].zh if known else value


def heading(english: str, language: Language) -> str:
    """A word around the figures."""
    return ZH_HEADINGS[english] if language == "zh" else english
