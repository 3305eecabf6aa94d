"""Cache checks over scripted replies, and the replies of each kind of check."""

from collections.abc import Sequence

from statemachine.comfyui.checks import CacheCheck, CheckResult, kinds_of
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.transport import Reply
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events as e
from statemachine.core.vocabulary import Reason
from tests.comfyui_client.fakes import FakeTransport, Replies, json_reply, text_reply, workflow

TEXT, INSPIRE, HISTORY = "/cache/check", "/inspire/cache/list", "/history?max_items=2"
NODE = f"{TEXT}?key=k1&key=k2"
"""The request if the check may be the companion node's."""
A, B = workflow("a", "k1", "k2"), workflow("b", "k3")
KEYLESS = workflow("plain")
LOADED = text_reply("缓存已加载。")
EMPTY_LIST = "---- [String Key Caches] ----\n"
AUTO_STARTED = "，已经自动在后台执行缓存模型工作流。"


def node_reply(*missing: str, present: Sequence[str] = ("k1", "k2"), **more: object) -> Reply:
    """Return the companion node's answer of instance i1 at sequence 17; `more` overrides its members."""
    answer = {"comfywarm": 1, "instance": "i1", "sequence": 17, "loading": False, "auto_started": False}
    keys = {"present": [key for key in present if key not in missing], "missing": list(missing)}
    return json_reply({**answer, "keys": keys, "held": {"vram": [], "ram": []}, **more})


def check_of(
    replies: Replies, kind: str = "auto", workflows: tuple[Workflow, ...] = (A,)
) -> tuple[CacheCheck, FakeTransport]:
    transport = FakeTransport(replies)
    return CacheCheck(ComfyClient(transport), kinds_of(kind), TEXT, workflows), transport


async def answer_of(check: CacheCheck, epoch: int = 0) -> e.CheckAnswered:
    event = (await check.ask(epoch)).event
    assert isinstance(event, e.CheckAnswered), event
    return event


async def unusable_answer_of(check: CacheCheck) -> tuple[Reason, CheckResult]:
    result = await check.ask(0)
    assert isinstance(result.event, e.CheckUnusable), result.event
    return result.event.reason, result


def inspire_reply(*keys: str) -> Reply:
    return text_reply(EMPTY_LIST + "".join(f"{key}: t\n" for key in keys))
