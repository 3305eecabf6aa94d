"""The questions to a live server: each class once, and only an understood answer counts against it."""

import json
from urllib.parse import unquote

import pytest

from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import AccessDeniedError, NotAnsweringError
from statemachine.comfyui.preflight import fitness
from statemachine.comfyui.transport import Reply, Socket
from statemachine.comfyui.workflow import parse_workflow

GRAPH = {str(number): {"class_type": "Loader", "inputs": {"file": f"{number}.pt"}} for number in (1, 2)}
WORKFLOW = parse_workflow("two", json.dumps({**GRAPH, "3": {"class_type": "A / B", "inputs": {}}}).encode())
PREFIX = "/object_info/"


class ScriptedTransport:
    """Answers /object_info/CLASS as told; what it was not told is `{}`, an unknown class."""

    def __init__(self, answers: dict[str, Reply | Exception]) -> None:
        self.asked: list[str] = []
        self._answers = answers

    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        assert (method, body) == ("GET", None)
        name = unquote(path.removeprefix(PREFIX))
        self.asked.append(name)
        answer = self._answers.get(name, Reply(200, b"{}"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def connect(self, client_id: str) -> Socket:
        raise NotImplementedError


def described(name: str, files: list[str]) -> Reply:
    return Reply(200, json.dumps({name: {"input": {"required": {"file": [files]}}}}).encode())


async def test_each_class_is_asked_once_and_what_lacks_is_named() -> None:
    transport = ScriptedTransport({"Loader": described("Loader", ["1.pt"])})
    found = await fitness(ComfyClient(transport), WORKFLOW)
    assert transport.asked == ["Loader", "A / B"]
    assert found.missing_nodes == ("A / B",)
    assert [model.wanted for model in found.missing_models] == ["2.pt"]


@pytest.mark.parametrize("reply", [Reply(404, b""), Reply(500, b"oops"), Reply(200, b"<html>")])
async def test_what_is_not_understood_proves_nothing(reply: Reply) -> None:
    transport = ScriptedTransport({"Loader": reply, "A / B": reply})
    assert (await fitness(ComfyClient(transport), WORKFLOW)).fits


@pytest.mark.parametrize(
    ("answer", "error"), [(NotAnsweringError("away"), NotAnsweringError), (Reply(401, b""), AccessDeniedError)]
)
async def test_no_answer_is_passed_on(answer: Reply | Exception, error: type[Exception]) -> None:
    with pytest.raises(error):
        await fitness(ComfyClient(ScriptedTransport({"Loader": answer})), WORKFLOW)
