"""The public JSON format: exactly the documented keys and forms."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.core.levels import Level
from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import message, verbatim
from statemachine.core.server import Attempt, Outcome, ServerView
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.publish.serialize import (
    Topic,
    detailed_server,
    detailed_status,
    entry_message,
    progress_message,
    rfc3339,
    server_line,
    status,
)
from statemachine.publish.snapshot import CheckDetail, LinkDetail, ServerDetail, Snapshot

NEW_YEAR = 1_767_225_600.0
WARMING = ServerView(
    name="127.0.0.1:8188",
    url="http://127.0.0.1:8188",
    group="default",
    state=State.WARMING,
    since=NEW_YEAR,
    reason=Reason.PROMPT_ACCEPTED,
    message=message("workflow_accepted", workflow="w"),
    missing=("pulid_model",),
    prompt_id="p",
    progress=0.42,
    queue_remaining=1,
    last_check=NEW_YEAR + 0.5,
    waiting_for=message("wait.warm_up"),
    next_action_at=NEW_YEAR + 600.0,
    next_action_at_most=True,
    levels={"pulid_eva_clip": Level.RAM, "ben2_base": Level.VRAM},
)
ENTRY = LogEntry(
    NEW_YEAR,
    EntryKind.TRANSITION,
    "prompt_accepted",
    message("workflow_accepted", workflow="w"),
    server="127.0.0.1:8188",
    group="default",
    source=State.SUBMITTING,
    dest=State.WARMING,
    proved_by=Source.REPLY,
    prompt_id="p",
    seq=7,
)
LINE = {
    "name": "127.0.0.1:8188",
    "url": "http://127.0.0.1:8188",
    "group": "default",
    "state": "warming",
    "since": "2026-01-01T00:00:00.000Z",
    "cache_loaded": False,
    "auto_executing": False,
    "missing": ["pulid_model"],
    "level": "ram",
    "levels": {"pulid_eva_clip": "ram", "ben2_base": "vram"},
    "reason": "prompt_accepted",
    "message": "the server accepted workflow w",
    "message_code": "workflow_accepted",
    "message_params": {"workflow": "w"},
    "prompt_id": "p",
    "progress": 0.42,
    "queue_remaining": 1,
    "last_check": "2026-01-01T00:00:00.500Z",
    "waiting_for": "warm-up running",
    "waiting_for_code": "wait.warm_up",
    "waiting_for_params": {},
    "next_action_at": "2026-01-01T00:10:00.000Z",
    "next_action_at_most": True,
    "pause": None,
    "restart": None,
}


def snapshot() -> Snapshot:
    made = Snapshot()
    made.put(WARMING)
    return made


def status_of(of: Snapshot) -> object:
    return orjson.loads(status(of, NEW_YEAR, [orjson.Fragment(server_line(view)) for view in of]))


def test_status_equals_documented_example() -> None:
    assert status_of(snapshot()) == {
        "generated_at": "2026-01-01T00:00:00.000Z",
        "total": 1,
        "states": {"warming": 1},
        "servers": [LINE],
    }


def test_status_of_empty_fleet_has_all_keys() -> None:
    assert status_of(Snapshot()) == {
        "generated_at": "2026-01-01T00:00:00.000Z",
        "total": 0,
        "states": {},
        "servers": [],
    }


def test_detailed_server_extends_status_of_server() -> None:
    detail = ServerDetail(
        LinkDetail(True, NEW_YEAR, 2, None),
        CheckDetail("text", NEW_YEAR, 12.5, "缓存已加载。"),
        {"version": "0.3.75", "devices": []},
        {"checks": 3},
    )
    attempt = Attempt("127.0.0.1:8188", "cache_models", "p", NEW_YEAR, outcome=Outcome.SUCCEEDED,
                      accepted_at=NEW_YEAR + 1, ended_at=NEW_YEAR + 2, confirmed_by=Source.WS)  # fmt: skip
    shown = detailed_server(WARMING, detail, [attempt], [ENTRY])
    assert {key: shown[key] for key in LINE} == LINE
    assert {key: value for key, value in shown.items() if key not in LINE} == {
        "link": {
            "connected": True,
            "since": "2026-01-01T00:00:00.000Z",
            "connects": 2,
            "trouble": None,
            "trouble_code": None,
            "trouble_params": {},
        },
        "server": {"version": "0.3.75", "devices": []},
        "check": {"kind": "text", "at": "2026-01-01T00:00:00.000Z", "ms": 12.5, "raw": "缓存已加载。"},
        "attempts": [
            {
                "prompt_id": "p",
                "workflow": "cache_models",
                "outcome": "succeeded",
                "confirmed_by": "ws",
                "created_at": "2026-01-01T00:00:00.000Z",
                "accepted_at": "2026-01-01T00:00:01.000Z",
                "ended_at": "2026-01-01T00:00:02.000Z",
                "varied_tag": False,
                "message": "",
                "message_code": None,
                "message_params": {},
            }
        ],
        "transitions": [
            {
                "id": 7,
                "at": "2026-01-01T00:00:00.000Z",
                "event": "transition",
                "server": "127.0.0.1:8188",
                "group": "default",
                "from": "submitting",
                "to": "warming",
                "reason": "prompt_accepted",
                "proved_by": "reply",
                "by": None,
                "prompt_id": "p",
                "message": "the server accepted workflow w",
                "message_code": "workflow_accepted",
                "message_params": {"workflow": "w"},
            }
        ],
        "counters": {"checks": 3},
    }
    assert detailed_status(snapshot(), NEW_YEAR, [shown])["servers"] == [shown]
    orjson.dumps(shown)


def test_detailed_server_without_details_has_all_keys() -> None:
    shown = detailed_server(WARMING, ServerDetail(), [], [])
    assert set(shown) == {*LINE, "link", "server", "check", "attempts", "transitions", "counters"}


def test_stream_messages_include_view_only_if_live() -> None:
    live = entry_message(ENTRY, WARMING)
    assert (live.topic, live.seq, live.server) == (Topic.TRANSITION, 7, "127.0.0.1:8188")
    assert live.render()["view"] == LINE
    replayed = entry_message(ENTRY)
    assert "view" not in replayed.render()
    assert {**live.render(), "view": None} == {**replayed.render(), "view": None}
    progress = progress_message(WARMING)
    assert (progress.topic, progress.seq, progress.server) == (Topic.PROGRESS, None, "127.0.0.1:8188")
    assert progress.render() == LINE


def test_notice_message_has_no_states() -> None:
    message = entry_message(LogEntry(NEW_YEAR, EntryKind.NOTICE, "journal_unavailable", verbatim("full"), seq=8))
    assert (message.topic, message.server) == (Topic.NOTICE, None)
    rendered = message.render()
    assert [rendered[key] for key in ("event", "from", "to", "server", "proved_by")] == [
        "notice",
        None,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, None),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (NEW_YEAR, "2026-01-01T00:00:00.000Z"),
        (NEW_YEAR + 0.25, "2026-01-01T00:00:00.250Z"),
        (NEW_YEAR - 0.001, "2025-12-31T23:59:59.999Z"),
    ],
)
def test_rfc3339_is_utc_with_milliseconds(at: float | None, text: str | None) -> None:
    assert rfc3339(at) == text


@given(st.floats(0, 4e9))
def test_rfc3339_round_trip_is_exact_to_the_millisecond(at: float) -> None:
    text = rfc3339(at)
    assert text is not None
    assert text.endswith("Z")
    back = datetime.fromisoformat(text)
    assert back.tzinfo == UTC
    assert abs(back.timestamp() - at) < 0.0011
