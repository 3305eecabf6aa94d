"""A hostile client: paths that leave the folders, in every encoding, floods, endless bodies, and slow readers."""

import asyncio
import json
import socket
from io import BytesIO
from itertools import product
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pytest
from yarl import URL

from statemachine.gateway.clients import MAX_REQUESTS
from statemachine.gateway.requests import LARGE_BODY
from tests.gateway.rig import Site, image_graph, running_site
from tests.security.loop_turns import LoopTurns
from tests.support.polling import wait_until

TOKENS = {"alice": "a-token-of-alice", "bob": "the-token-of-bob"}
ALICE, BOB = ({"Authorization": f"Bearer {token}"} for token in TOKENS.values())
UP = ("..", "%2e%2e", "%252e%252e", ".%2e", "%c0%ae%c0%ae", "%uff0e%uff0e", "%ef%bc%8e%ef%bc%8e", "..%00", "%2e%2e%20")
SLASHES = ("/", "%2f", "%252f", "%5c", "%255c", "%c0%af", "%ef%bc%8f", "//", "%00%2f")
OK, BAD, ABSENT, TOO_LARGE = 200, 400, 404, 413
CONTENT = b"the content of the upload"
MOST_PIECES = 5_000
"""Of an endless form, in case that it is not refused: 20 MB."""
LONGEST_TURN_S = 0.2


def traversals() -> list[str]:
    """Return paths, as in a query, that might lead to the gateway's ledger."""
    up = [f"{dots}{slash}{dots}{slash}gateway.db" for dots, slash in product(UP, SLASHES)]
    return [*up, "%2fetc%2fpasswd", "file:%2f%2f%2fetc%2fpasswd", "~%2f.bashrc", "C:%5cWindows%5cwin.ini", "gateway.db"]


async def fetch(site: Site, target: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """GET a target as it is, without normalising it."""
    async with site.session.get(URL(site.url + target, encoded=True), headers=headers) as response:
        return response.status, await response.read()


async def test_view_never_leaves_the_files_of_the_client(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site:
        theirs = (await site.try_post(image_graph("a"), headers=ALICE))[1]["prompt_id"]
        own = (await site.try_post(image_graph("b"), headers=BOB))[1]["prompt_id"]
        await site.wait_entry(own, BOB)
        await site.wait_entry(theirs, ALICE)
        before = len(site.servers[0].requests)
        name = "ComfyUI_00000_.png"
        targets = [
            f"/view?type={kind}&filename={path}" for kind in ("output", "input", "temp", "..") for path in traversals()
        ]
        targets += [f"/view?filename={path}&subfolder={own}" for path in traversals()]
        targets += [f"/view?filename={name}&subfolder={own}%2f{path}" for path in traversals()]
        targets += [f"/view?filename={name}&subfolder={path}%2f{theirs}" for path in (own, *UP)]
        targets += [f"/view?filename={name}&subfolder={theirs}", f"/view?filename={name}&subfolder={theirs}%2f"]
        answers = [await fetch(site, target, BOB) for target in targets]
        views = [one for one in site.servers[0].requests[before:] if one[1] == "/view"]
    assert {status for status, _ in answers} <= {BAD, ABSENT}
    assert views == []


@pytest.mark.parametrize("path", ["/object_info/", "/models/", "/api/models/", "/history/", "/api/jobs/"])
async def test_name_in_a_path_leads_to_no_other_route(tmp_path: Path, path: str) -> None:
    async with running_site(tmp_path, count=1) as site:
        names = [*traversals(), "%2e", *UP, "%2e%2e%2fqueue", "..%2fhistory", "x%3fy=1", "x%23y"]
        before = len(site.servers[0].requests)
        answers = [await fetch(site, path + name, {}) for name in names]
        asked = {one[1] for one in site.servers[0].requests[before:]}
    assert {status for status, _ in answers} <= {OK, BAD, ABSENT}
    routes = (f"/{path.split('/')[-2]}/", "/history/", "/queue")
    assert [one for one in asked if not one.startswith(routes)] == []


async def test_markers_of_a_client_are_not_passed_on(tmp_path: Path) -> None:
    forged = {"comfywarm": {"workflow": "w"}, "comfywarm_gateway": {"client": "alice"}, "client_id": "x", "own": 1}
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site:
        await site.try_post(image_graph(), headers=BOB, extra_data=forged)
        passed = site.servers[0].log[-1].body["extra_data"]
    assert (passed.pop("comfywarm_gateway")["client"], passed) == ("bob", {"own": 1})


@pytest.mark.parametrize("field", ["filename", "subfolder", "original_ref"])
async def test_upload_never_leaves_its_folder(tmp_path: Path, field: str) -> None:
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site:
        names = {form for path in traversals() for form in (path, unquote(path, errors="replace"))}
        statuses = {name: await try_upload(site, field, name) for name in names}
        for upload in list(site.gateway.uploads):
            graph = {"1": {"class_type": "LoadImage", "inputs": {"image": upload.path}}, **image_graph("a")}
            await site.try_post(graph, headers=BOB)
        handed = list(site.servers[0].uploads)
    leaving = [name for name in names if ".." in name.split("/")]
    assert [name for name in leaving if statuses[name] != BAD] == []
    assert set(statuses.values()) <= {OK, BAD}
    assert all(".." not in PurePosixPath(path).parts and not path.startswith("/") for path in handed)
    assert folders_with_content(tmp_path) <= {tmp_path / "gateway/uploads"}


def folders_with_content(folder: Path) -> set[Path]:
    return {path.parent for path in folder.rglob("*") if path.is_file() and CONTENT in path.read_bytes()}


async def try_upload(site: Site, field: str, name: str) -> int:
    """Upload a file with this text in a field of the form; return the status."""
    file = name if field == "filename" else "a.png"
    fields = {"subfolder": name if field == "subfolder" else ""}
    if field == "original_ref":
        fields["original_ref"] = json.dumps({"filename": name, "subfolder": "", "type": "input"})
    parts = [f'name="image"; filename="{file}"\r\n\r\n'.encode() + CONTENT]
    parts += [f'name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    body = b"".join(b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--b--\r\n"
    headers = {**BOB, "Content-Type": "multipart/form-data; boundary=b"}
    route = "mask" if field == "original_ref" else "image"
    async with site.session.post(f"{site.url}/upload/{route}", data=body, headers=headers) as response:
        return response.status


@pytest.mark.parametrize("depth", [100, 253, 300, 900, 1_000, 1_500, 100_000])
async def test_prompt_that_is_nested_deeply_is_refused_or_passed_on(tmp_path: Path, depth: int) -> None:
    graph = '{"1": {"class_type": "RigSlowModel", "inputs": {"name": ' + "[" * depth + "]" * depth + "}}}"
    async with running_site(tmp_path, count=1) as site:
        async with site.session.post(f"{site.url}/prompt", data='{"prompt": ' + graph + "}") as response:
            status = response.status
        await site.wait_entry((await site.post(image_graph()))["prompt_id"])
    assert status in {OK, BAD}


async def test_flood_of_requests_is_refused_and_delays_no_other(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site:
        host, port = site.url.removeprefix("http://").split(":")
        head = f"POST /prompt HTTP/1.1\r\nHost: localhost\r\nAuthorization: {BOB['Authorization']}\r\n"
        slow = [await asyncio.open_connection(host, int(port)) for _ in range(MAX_REQUESTS)]
        for _, writer in slow:
            writer.write(f"{head}Content-Length: 9999\r\n\r\n{{".encode())
        await wait_until(lambda: site.gateway.clients.busy("bob") == MAX_REQUESTS)
        refused = [await fetch(site, "/queue", BOB) for _ in range(20)]
        prompt_id = (await site.try_post(image_graph(), headers=ALICE))[1]["prompt_id"]
        await site.wait_entry(prompt_id, ALICE)
        for _, writer in slow:
            writer.close()
        await wait_until(lambda: not site.gateway.clients.busy("bob"))
        after = await fetch(site, "/queue", BOB)
    assert {status for status, _ in refused} == {429}
    assert after[0] == OK


async def test_large_prompts_of_a_client_are_read_one_at_a_time(tmp_path: Path) -> None:
    large = json.dumps({"prompt": {**image_graph("large"), "3": {"text": "x" * LARGE_BODY}}}).encode()
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site:
        host, port = site.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /prompt HTTP/1.1\r\nHost: localhost\r\nAuthorization: {BOB['Authorization']}\r\n"
        writer.write(f"{head}Content-Length: {2 * LARGE_BODY}\r\n\r\n{{".encode())
        await wait_until(lambda: site.gateway.clients.busy("bob"))
        waiting = asyncio.create_task(site.session.post(f"{site.url}/prompt", data=BytesIO(large), headers=BOB))
        await wait_until(lambda: site.gateway.clients.busy("bob") > 1)
        statuses = [(await site.try_post(image_graph("a"), headers=one))[0] for one in (BOB, ALICE)]
        async with site.session.post(f"{site.url}/prompt", data=BytesIO(large), headers=ALICE) as response:
            statuses.append(response.status)
        is_waiting = not waiting.done()
        writer.close()
        statuses.append((await waiting).status)
    assert (statuses[:2], is_waiting) == ([OK, OK], True)
    assert statuses[2] == statuses[3]


async def test_slow_readers_of_files_delay_no_other(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site:
        site.servers[0].padding = bytes(2**22)
        ids = [
            (await site.try_post(image_graph(name), headers=one))[1]["prompt_id"]
            for name, one in (("a", ALICE), ("b", BOB))
        ]
        images = [
            (await site.wait_entry(*one))["outputs"]["2"]["images"][0] for one in zip(ids, (ALICE, BOB), strict=True)
        ]
        host, port = site.url.removeprefix("http://").split(":")
        target = URL("/view").with_query(images[1]).raw_path_qs
        deaf = [socket.create_connection((host, int(port))) for _ in range(20)]
        for one in deaf:
            one.sendall(
                f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {BOB['Authorization']}\r\n\r\n".encode()
            )
        await wait_until(lambda: site.gateway.clients.busy("bob") == len(deaf))
        async with site.session.get(f"{site.url}/view", params=images[0], headers=ALICE) as response:
            content = await response.read()
        for one in deaf:
            one.close()
    assert content == ids[0].encode() + site.servers[0].padding


ENDLESS_FORMS = {
    "preamble": (b"", b"x" * 4096),
    "preamble-of-lines": (b"", b"\n" * 4096),
    "field": (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n', b"x" * 4096),
    "lines-of-a-field": (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n', b"\n" * 4096),
    "headers": (b"--b\r\n", b"X-A: b\r\n" * 400),
    "header": (b"--b\r\nX-A: ", b"b" * 4096),
    "fields": (b"", b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 50),
    "nested": (b"", b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 50),
}


@pytest.mark.parametrize("kind", ENDLESS_FORMS)
async def test_form_without_end_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site:
        async with LoopTurns() as turns:
            status = await status_of_endless(site, *ENDLESS_FORMS[kind])
        left = list(site.gateway.uploads)
    print(f"longest turn {turns.longest_s * 1000:.0f} ms")
    assert status in {BAD, TOO_LARGE}
    assert left == []
    assert turns.longest_s < LONGEST_TURN_S


async def status_of_endless(site: Site, head: bytes, piece: bytes) -> int:
    """Upload a form that does not end, until an answer comes; return its status."""
    host, port = site.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    fields = f"Host: localhost\r\nAuthorization: {BOB['Authorization']}\r\nContent-Length: 999999999\r\n"
    form = "Content-Type: multipart/form-data; boundary=b\r\n"
    writer.write(f"POST /upload/image HTTP/1.1\r\n{fields}{form}\r\n".encode() + head)
    answer = asyncio.create_task(reader.readline())
    for _ in range(MOST_PIECES):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
        if answer.done():
            break
    writer.close()
    return int((await answer).split()[1])
