"""Passes the frames of servers to the clients whose prompts they are about, and announces the ends of prompts."""

from collections.abc import Callable, Mapping
from typing import Any

from statemachine.gateway import frames
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.metrics import GatewayMetrics
from statemachine.gateway.records import PromptRecord, Stage, tagged
from statemachine.gateway.sockets import Sockets


class FrameDelivery:
    """A server's frames reach only the clients whose prompts it runs. `on_idle` gets servers whose queue is empty."""

    def __init__(
        self, ledger: Ledger, view: FleetView, sockets: Sockets, on_idle: Callable[[str], None], metrics: GatewayMetrics
    ) -> None:
        self._ledger = ledger
        self._view = view
        self._sockets = sockets
        self._on_idle = on_idle
        self._metrics = metrics
        self._current: dict[str, str] = {}
        """The prompt of the last frame of each server. Binary frames belong to it: a server runs one at a time."""

    def receive(self, server: str, kind: str, data: Mapping[str, Any], text: str) -> None:
        """Handle a text frame of a server."""
        if kind == frames.STATUS:
            self._note_queue(server, data)
            return
        record = self._record(server, data.get("prompt_id"))
        if record is None:
            return
        self._current[server] = record.prompt_id
        if kind == frames.EXECUTING and data.get("node") is None:
            record.is_deleted = False  # it ran when it was to be deleted
            self.finish(record)
        elif kind == frames.EXECUTED:
            self._pass_outputs(record, data)
        else:
            if kind == frames.START:
                self._view.chooser.note_started(server, record.prompt_id)
                self._metrics.started(record)
            if kind in frames.ENDS:
                record.keep_end(kind, data)
            self._send(record, kind, text)

    def receive_binary(self, server: str, data: bytes) -> None:
        """Pass a preview to the client of the prompt that runs."""
        record = self._record(server, self._current.get(server))
        if record is not None:
            self._sockets.send(_key(record), data)

    def forget(self, server: str) -> None:
        """Forget a server that has left."""
        self._current.pop(server, None)

    def remaining(self, client: str, client_id: str) -> int:
        """Return the number of open prompts of a client id."""
        return sum(one.client_id == client_id for one in self._ledger.open_of(client))

    def finish(self, record: PromptRecord) -> None:
        """Note the end of a prompt, and send what ComfyUI sends last."""
        if record.stage is Stage.ENDED:
            return
        record.stage, record.credentials = Stage.ENDED, {}
        self._ledger.put(record)
        self._metrics.ended(record)
        success = record.end[:1] == [frames.SUCCESS]
        self._view.chooser.note_ended(record.server, record.prompt_id, success=success)
        if record.client_id is not None:
            self.send_status(record.client, record.client_id)
            if not record.is_deleted:
                self._sockets.send(_key(record), frames.finished(record))

    def send_status(self, client: str, client_id: str) -> None:
        """Send the length of the client's own queue."""
        self._sockets.send((client, client_id), frames.status(self.remaining(client, client_id)))

    def finish_from(self, record: PromptRecord, entry: Mapping[str, Any]) -> None:
        """Note the end of a prompt that is in the server's history, and send the frames that did not arrive."""
        keep_entry(record, entry)
        for key, text in frames.missed(record, entry):
            if key not in record.sent:
                self._send(record, key, text)
        record.is_deleted = False
        self.finish(record)

    def lose(self, record: PromptRecord, why: str) -> None:
        """End a prompt with an error."""
        record.error = why
        self._view.chooser.note_lost(record.server)
        data = frames.loss(record)
        record.keep_end(frames.ERROR, data)
        self._send(record, frames.ERROR, frames.frame(frames.ERROR, data))
        self.finish(record)

    def _pass_outputs(self, record: PromptRecord, data: Mapping[str, Any]) -> None:
        record.keep_output(str(data.get("node")), data.get("output"))
        changed = {**data, "output": tagged(data.get("output"), record.prompt_id)}
        self._send(record, frames.node_key(data.get("node")), frames.frame(frames.EXECUTED, changed))

    def _send(self, record: PromptRecord, key: str, text: str) -> None:
        record.sent.add(key)
        self._sockets.send(_key(record), text)

    def _record(self, server: str, prompt_id: object) -> PromptRecord | None:
        record = self._ledger.get(prompt_id) if isinstance(prompt_id, str) else None
        return record if record is not None and record.server == server and record.stage is not Stage.ENDED else None

    def _note_queue(self, server: str, data: Mapping[str, Any]) -> None:
        match data:
            case {"status": {"exec_info": {"queue_remaining": int() as queued}}}:
                self._view.note_queue(server, queued)
                if queued == 0:
                    self._on_idle(server)


def keep_entry(record: PromptRecord, entry: Mapping[str, Any]) -> None:
    """Keep outputs and end of a prompt from its entry in the server's history."""
    outputs = entry.get("outputs")
    for node, output in (outputs if isinstance(outputs, dict) else {}).items():
        record.keep_output(node, output)
    for kind, data in frames.messages(entry):
        if kind in frames.ENDS:
            record.keep_end(kind, data)


def _key(record: PromptRecord) -> tuple[str, str]:
    """Return the key of a prompt's connections; none has the empty client id."""
    return record.client, record.client_id or ""
