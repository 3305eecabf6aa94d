"""`tail -f` on a daemon whose streams break off and repeat entries."""

import json
from pathlib import Path

from aiohttp import web

from statemachine.publish.serialize import log_entry
from tests.cli.rig import json_lines, write_settings
from tests.support.daemon import command
from tests.web.site import COLD, transition_entry


def block(number: int) -> bytes:
    data = json.dumps(log_entry(transition_entry(COLD, "m").numbered(number)))
    return f"id: {number}\nevent: transition\ndata: {data}\n\n".encode()


class RepeatingDaemon:
    """Each stream starts one entry too early, has two new ones and breaks off within an entry."""

    def __init__(self) -> None:
        self.asked_since: list[str | None] = []

    async def events(self, request: web.Request) -> web.StreamResponse:
        since = request.query.get("since")
        self.asked_since.append(since)
        start = int(since or 0)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"retry: 2000\nid: {start}\n\n".encode())
        numbers = range(max(1, start), start + 3)
        await response.write(b"".join(block(number) for number in numbers) + block(start + 3)[:20])
        return response

    async def log(self, _request: web.Request) -> web.Response:
        return web.json_response({"entries": [], "next": None})


async def test_tail_follow_of_broken_streams_has_no_gap_or_duplicate(tmp_path: Path) -> None:
    daemon, application = RepeatingDaemon(), web.Application()
    application.add_routes([web.get("/api/events", daemon.events), web.get("/api/log", daemon.log)])
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = write_settings(tmp_path, listen={"port": runner.addresses[0][1]})
    async with command(settings, "tail", "-f", "--json") as process:
        seen = await json_lines(process, 6)
    await runner.cleanup()
    assert [entry["id"] for entry in seen] == [1, 2, 3, 4, 5, 6]
    assert daemon.asked_since[:3] == ["0", "2", "4"]
