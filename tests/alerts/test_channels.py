"""Channels over real sockets: delivery, and errors that hide the address."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator

import pytest
from loguru import logger
from pydantic import SecretStr

from statemachine.alerts.apprise_channel import AppriseChannel
from statemachine.alerts.channels import Channel, SendError, Webhook, signature
from statemachine.alerts.notification import Notification, notification_for
from statemachine.alerts.queue import NotificationBatch
from tests.alerts.listeners import listening, receiving_mail
from tests.alerts.samples import EPOCH, announcement
from tests.support.paths import DOCS

SECRET = "s3cr3t-Value-of-a-hook"
PAGE = DOCS / "alerts.md"


def notification(count: int = 4) -> Notification:
    return notification_for(NotificationBatch((announcement(count=count),)), "zh", EPOCH + 125)


def service(url: str) -> AppriseChannel:
    return AppriseChannel(SecretStr(url))


def webhook(url: str) -> Webhook:
    return Webhook(SecretStr(url), SecretStr(SECRET), time.time)


async def refused(channel: Channel) -> SendError:
    with pytest.raises(SendError) as caught:
        await channel.send(notification())
    return caught.value


@pytest.fixture
def verify() -> Callable[[str, str, bytes], bool]:
    """Return the verification function in docs/alerts.md."""
    code = PAGE.read_text(encoding="utf-8").split("```python")[1].split("```")[0]
    names: dict[str, Callable[[str, str, bytes], bool]] = {}
    exec(code, names)
    return names["is_genuine"]


async def test_webhook_posts_json_with_valid_signature(verify: Callable[[str, str, bytes], bool]) -> None:
    async with listening() as listener:
        await webhook(f"{listener.url}/hook?a=b").send(notification())
    (received,) = listener.requests
    header = received.headers["X-Comfywarm-Signature"]
    assert received.path == "/hook?a=b"
    assert received.headers["X-Comfywarm-Id"] == received.data["id"] == "id1"
    assert received.headers["Content-Type"] == "application/json"
    assert received.data["title"] == notification().title
    assert received.data["count"] == 4
    assert verify(SECRET, header, received.body)
    assert not verify("another secret of 16", header, received.body)
    assert not verify(SECRET, header, received.body + b" ")
    assert not verify(SECRET, signature(SECRET, int(time.time()) - 3600, received.body), received.body)


def test_signature_matches_openssl() -> None:
    """Computed with openssl: printf '1750000000.{}' | openssl dgst -sha256 -hmac whsec_0123456789."""
    expected = "5f4ff2cf85cc9a52e1009f29adbda37ea1c05763b1f9a888d47bf05f52bbb32d"
    assert signature("whsec_0123456789", 1750000000, b"{}") == f"t=1750000000,v1={expected}"


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(500, False), (503, False), (429, False), (408, False), (400, True), (404, True), (301, True), (302, True)],
)
async def test_webhook_status_decides_whether_error_is_final(status: int, is_final: bool) -> None:
    async with listening(status) as listener:
        error = await refused(webhook(listener.url))
    assert (str(error), error.is_final) == (f"HTTP {status}", is_final)
    assert len(listener.requests) == 1, "a redirect is not followed"


async def test_apprise_sends_message() -> None:
    async with listening() as listener:
        await service(f"json://127.0.0.1:{listener.port}/in").send(notification())
    (received,) = listener.requests
    assert (received.path, received.data["title"], received.data["type"]) == ("/in", notification().title, "failure")
    assert "192.0.2.1（8188、8189、8190、8191）" in str(received.data["message"])


async def test_apprise_sends_mail() -> None:
    async with receiving_mail() as mailbox:
        url = f"mailto://127.0.0.1:{mailbox.port}?from=comfywarm@example.com&to=ops@example.com&mode=insecure"
        await service(url).send(notification())
        mail = await asyncio.wait_for(mailbox.mails.get(), 5)
    assert (mail["Subject"], mail["To"]) == (notification().title, "ops@example.com")
    body = mail.get_body(("plain",))
    assert body is not None
    assert "规则 down" in body.get_content()


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    """Yield all lines of loguru and of the standard library's loggers, at all levels."""
    lines: list[str] = []
    handler = logging.Handler(0)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(1)
    sink = logger.add(lambda line: lines.append(str(line)), level=0)
    yield lines
    logger.remove(sink)
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize(
    "url",
    [
        "json://user:T0ken-one@127.0.0.1:{port}/T0ken-two?+X-Key=T0ken-three",
        "mailto://T0ken-one:T0ken-two@127.0.0.1:9?from=a@example.com&to=T0ken-three@example.com&mode=insecure",
        "feishu://T0ken$one",
        "dingtalk://T0ken-two@T0ken/",
    ],
)
async def test_apprise_error_hides_address(url: str, everything_logged: list[str]) -> None:
    async with listening(*[500] * 9) as listener:
        error = await refused(service(url.format(port=listener.port)))
    assert str(error)
    assert "T0ken" not in str(error) + repr(error)
    assert "127.0.0.1" not in str(error), "for many services the token takes the place of the host"
    assert "T0ken" not in "".join(everything_logged)


async def test_apprise_error_contains_status() -> None:
    async with listening(500) as listener:
        assert "error=500" in str(await refused(service(f"json://127.0.0.1:{listener.port}")))


async def test_webhook_unreachable_error_hides_address(everything_logged: list[str]) -> None:
    error = await refused(webhook("http://user:T0ken@127.0.0.1:9/T0ken?a=T0ken"))
    assert not error.is_final
    assert "T0ken" not in str(error) + "".join(everything_logged)


async def test_apprise_hanging_call_blocks_only_its_own_address() -> None:
    async with listening(hangs=True) as stuck, listening() as fine:
        hanging = service(f"json://127.0.0.1:{stuck.port}?rto=2")
        task = asyncio.create_task(hanging.send(notification()))
        await stuck.until(1)
        await service(f"json://127.0.0.1:{fine.port}").send(notification())
        await webhook(fine.url).send(notification())
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert str(await refused(hanging)) == "the previous attempt is still hanging"
        assert (len(stuck.requests), len(fine.requests)) == (1, 2)
