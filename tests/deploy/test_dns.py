"""The source `dns` over a real DNS server, dnsmasq, whose records change."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from statemachine.discovery.dns_source import DnsTargets
from statemachine.discovery.source import SourceError
from tests.discovery.following import following
from tests.discovery.samples import with_sources
from tests.support.polling import wait_until
from tests.support.ports import free_port

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(120)]


class Dnsmasq:
    """A dnsmasq on 127.0.0.1 with the names of a file, and further options."""

    def __init__(self, folder: Path) -> None:
        self.hosts = folder / "hosts"
        self.hosts.touch()
        self.port = free_port()
        self.process: asyncio.subprocess.Process

    async def start(self, options: Sequence[str] = ()) -> None:
        self.process = await asyncio.create_subprocess_exec(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-resolv",
            "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", f"--port={self.port}", "--local-ttl=1",
            f"--addn-hosts={self.hosts}", "--log-facility=-", "--local=/test/", *options,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stderr is not None
        async with asyncio.timeout(20):
            await self.process.stderr.readline()

    async def stop(self) -> None:
        self.process.terminate()
        await self.process.wait()

    def list_hosts(self, **addresses: str) -> None:
        """Replace the file, and have it read."""
        self.hosts.write_text("".join(f"{address} gpu.test\n" for address in addresses.values()))
        self.process.send_signal(signal.SIGHUP)


@asynccontextmanager
async def dnsmasq(folder: Path, *options: str) -> AsyncIterator[Dnsmasq]:
    one = Dnsmasq(folder)
    await one.start(options)
    try:
        yield one
    finally:
        await one.stop()


def source_of(server: Dnsmasq, host: str, record: str) -> DnsTargets:
    section: dict[str, object] = {
        "kind": "dns",
        "name": "lab",
        "host": host,
        "record": record,
        "nameserver": f"127.0.0.1:{server.port}",
    }
    (one,) = with_sources(section).discovery
    assert one.kind == "dns"
    return DnsTargets(one)


async def test_addresses_are_asked_again_when_they_change(tmp_path: Path) -> None:
    async with dnsmasq(tmp_path) as server, following(source_of(server, "gpu.test", "A")) as reports:
        assert await reports.next() == [], "a name that does not exist is an empty answer"
    async with dnsmasq(tmp_path) as server:
        server.list_hosts(one="192.0.2.1", six="2001:db8::1")
        await asyncio.sleep(0.5)
        async with following(source_of(server, "gpu.test", "A")) as reports:
            await reports.until("192.0.2.1:8188")
            server.list_hosts(one="192.0.2.2", two="192.0.2.3")
            await reports.until("192.0.2.2:8188", "192.0.2.3:8188")
        server.list_hosts(six="2001:db8::1")
        await asyncio.sleep(0.5)
        async with following(source_of(server, "gpu.test", "AAAA")) as reports:
            await reports.until("[2001:db8::1]:8188")


async def test_services_have_their_own_ports_and_the_server_may_be_down(tmp_path: Path) -> None:
    name = "_comfyui._tcp.test"
    async with dnsmasq(tmp_path, f"--srv-host={name},gpu1.test,8188", f"--srv-host={name},gpu2.test,8189") as server:
        source = source_of(server, name, "SRV")
        async with following(source) as reports:
            await reports.until("gpu1.test:8188", "gpu2.test:8189")
            await server.stop()
            with pytest.raises(SourceError):
                await reports.until("never:1")
        await server.start([f"--srv-host={name},gpu2.test,8190"])
        async with following(source) as reports:
            await reports.until("gpu2.test:8190")
            await wait_until(lambda: server.process.returncode is None)
