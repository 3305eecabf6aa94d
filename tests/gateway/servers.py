"""Simulated servers that also have files, and that lose requests on demand."""

from email import message_from_bytes
from random import Random

from typing_extensions import override

from statemachine.simulator import PROFILES, SimServer
from statemachine.simulator.http import Request, Response
from statemachine.simulator.server import Sink
from tests.support.polling import wait_until

FOUND = 200
CUT = ConnectionResetError("cut by the test")


class FilesServer(SimServer):
    """A server with /view, uploads and jobs.

    A file's content is the id of the prompt that wrote it, and the `padding`. `cut_before` and `cut_after`: the next
    POST /prompt is not handled, or is handled but not answered. `answers_once_idle`: the next GET is answered with what
    holds now, but only once the queue is empty.
    """

    def __init__(self, seed: int, profile: str = "loaded") -> None:
        super().__init__(PROFILES[profile], Random(seed), scale=0.02)
        self.uploads: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.cut_before = False
        self.cut_after = False
        self.answers_once_idle = False
        self.cut_history = ""
        """A prompt whose history is not answered."""
        self.padding = b""
        self.connections = 0
        """How often /ws was opened."""

    @override
    def connect(self, client_id: str, sink: Sink) -> str:
        self.connections += 1
        return super().connect(client_id, sink)

    @override
    async def handle(self, request: Request) -> Response:
        self._refuse_if_down()
        path = request.path.removeprefix("/api")
        self.requests.append((request.method, path))
        if self.cut_history and path == f"/history/{self.cut_history}":
            raise CUT
        if path == "/view":
            return self._view(request)
        if path in {"/upload/image", "/upload/mask"}:
            return self._upload(request)
        if (request.method, path) == ("POST", "/prompt"):
            return await self._post(request)
        response = await super().handle(request)
        if self.answers_once_idle:
            self.answers_once_idle = False
            await wait_until(lambda: not self.process.queue.remaining)
        return response

    async def _post(self, request: Request) -> Response:
        if self.cut_before:
            self.cut_before = False
            raise CUT
        response = await super().handle(request)
        if self.cut_after:
            self.cut_after = False
            raise CUT
        return response

    def _view(self, request: Request) -> Response:
        if request.query.get("type") == "input":
            place = (request.query.get("subfolder", ""), request.query.get("filename", ""))
            content = self.uploads.get("/".join(filter(None, place)))
            return Response(404, None, b"") if content is None else Response(FOUND, "image/png", content)
        wanted = {name: request.query.get(name, "") for name in ("filename", "subfolder", "type")}
        for prompt_id, entry in self.process.queue.history.items():
            images = [image for output in entry["outputs"].values() for image in output["images"]]
            if wanted in images:
                return Response(FOUND, "image/png", prompt_id.encode() + self.padding)
        return Response(404, None, b"")

    def _upload(self, request: Request) -> Response:
        head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
        parts = message_from_bytes(head + request.body).get_payload()
        assert isinstance(parts, list)
        fields = {part.get_param("name", header="content-disposition"): part for part in parts}  # type: ignore[union-attr]
        subfolder = fields["subfolder"].get_payload(decode=True).decode()  # type: ignore[union-attr]
        name = fields["image"].get_filename()  # type: ignore[union-attr]
        path = f"{subfolder}/{name}" if subfolder else str(name)
        self.uploads[path] = fields["image"].get_payload(decode=True)  # type: ignore[union-attr,assignment]
        return Response(FOUND, "application/json", b"{}")

    @property
    def posted(self) -> list[str]:
        """The ids of the prompts that were accepted, in order."""
        return [post.prompt_id for post in self.log if post.prompt_id is not None]
