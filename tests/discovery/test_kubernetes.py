"""The endpoints of a service, from a Kubernetes API that is played from its documented messages."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from statemachine.discovery.endpoint_slices import EndpointSlices
from statemachine.discovery.kubernetes_source import KubernetesTargets, PodCredentials, WatchPauses
from statemachine.discovery.source import SourceError
from statemachine.i18n.render import render
from tests.discovery.following import following
from tests.discovery.kubernetes_api import KubernetesApi, endpoint, endpoint_slice, kubernetes_api, status_object
from tests.discovery.samples import with_sources
from tests.support.polling import wait_until


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[KubernetesApi]:
    async with kubernetes_api(tmp_path) as one:
        yield one


def source_of(credentials: PodCredentials, pause_s: float = 1.0, **keys: Any) -> KubernetesTargets:
    section = {"kind": "kubernetes", "name": "pods", "service": "comfyui", "service_port": "http", **keys}
    (one,) = with_sources(section).discovery
    assert one.kind == "kubernetes"
    return KubernetesTargets(one, credentials, pause_s)


async def test_list_and_watch_follow_the_service(api: KubernetesApi) -> None:
    api.put(endpoint_slice("a", endpoint("10.0.0.1", "pod-1"), endpoint("10.0.0.2", "pod-2", ready=False)))
    async with following(source_of(api.credentials)) as reports:
        listing = await reports.next_listing()
        assert [one.address.host_and_port for one in listing.targets] == ["10.0.0.1:8188", "10.0.0.2:8188"]
        assert listing.targets[0].labels == {"pod": "pod-1", "node": "node-1", "zone": "a"}
        await wait_until(lambda: api.watches)
        api.put(endpoint_slice("b", endpoint("10.0.0.3", "pod-3")))
        assert await reports.next() == ["10.0.0.1:8188", "10.0.0.2:8188", "10.0.0.3:8188"]
        api.put(endpoint_slice("a", endpoint("10.0.0.1", "pod-1", terminating=True)))
        assert await reports.next() == ["10.0.0.3:8188"]
        api.delete("b")
        assert await reports.next() == []
    assert api.requests[0]["limit"] == "500"
    assert api.watches[0]["allowWatchBookmarks"] == "true"
    assert api.watches[0]["resourceVersion"] == "101"


async def test_list_is_read_in_pages(api: KubernetesApi) -> None:
    api.page = 2
    for number in range(5):
        api.put(endpoint_slice(f"s{number}", endpoint(f"10.0.0.{number}", f"pod-{number}")))
    async with following(source_of(api.credentials)) as reports:
        assert len(await reports.next()) == 5
    assert [query.get("continue") for query in api.requests[:3]] == [None, "2", "4"]


async def test_watch_goes_on_after_a_bookmark(api: KubernetesApi) -> None:
    api.put(endpoint_slice("a", endpoint("10.0.0.1", "pod-1")))
    async with following(source_of(api.credentials)) as reports:
        await reports.next()
        await wait_until(lambda: api.watches)
        api.bookmark()
        api.end_watches()
        await wait_until(lambda: len(api.watches) == 2)
        (api.folder / "token").write_text("token-2")
        api.put(endpoint_slice("b", endpoint("10.0.0.2", "pod-2")))
        assert await reports.next() == ["10.0.0.1:8188", "10.0.0.2:8188"]
        api.end_watches()
        await wait_until(lambda: len(api.watches) == 3)
    assert api.watches[1]["resourceVersion"] == "102", "the version of the bookmark"
    assert len(api.requests) - len(api.watches) == 1, "no second list"
    assert (api.tokens[0], api.tokens[-1]) == ("Bearer token-1", "Bearer token-2"), "the token has rotated"


@pytest.mark.parametrize("in_stream", [True, False])
async def test_version_that_is_gone_leads_to_a_new_list(api: KubernetesApi, *, in_stream: bool) -> None:
    api.put(endpoint_slice("a", endpoint("10.0.0.1", "pod-1")))
    async with following(source_of(api.credentials)) as reports:
        await reports.next()
        await wait_until(lambda: api.watches)
        api.slices["a"] = endpoint_slice("a", endpoint("10.0.0.9", "pod-9"))
        api.version += 50
        if in_stream:
            api.send({"type": "ERROR", "object": status_object(410)})
        else:
            api.oldest = api.version
            api.end_watches()
        assert await reports.next() == ["10.0.0.9:8188"]
        await wait_until(lambda: api.watches[-1]["resourceVersion"] == str(api.version))


async def test_burst_of_changes_is_reported_once(api: KubernetesApi) -> None:
    api.put(endpoint_slice("a", endpoint("10.0.0.1", "pod-1")))
    async with following(source_of(api.credentials)) as reports:
        await reports.next()
        await wait_until(lambda: api.watches)
        for number in range(200):
            api.put(endpoint_slice("b", endpoint(f"10.0.1.{number}", f"pod-{number}")))
        await reports.until("10.0.0.1:8188", "10.0.1.199:8188")
    assert reports.count <= 10


async def test_watch_that_is_always_gone_is_asked_less_and_less_often(api: KubernetesApi) -> None:
    api.put(endpoint_slice("a", endpoint("10.0.0.1", "pod-1")))
    api.oldest = 10_000
    async with following(source_of(api.credentials, pause_s=0.02)) as reports:
        await asyncio.sleep(1.0)
        assert await reports.next() == ["10.0.0.1:8188"]
    assert 2 <= len(api.watches) <= 8


def test_pauses_between_watches_grow_until_one_lasts_or_changes() -> None:
    pauses, now, found = WatchPauses(1.0), 0.0, list[float]()
    for _ in range(12):
        found.append(pauses.next_s(now))
        now += found[-1]
    assert found[0] <= 1.0
    assert found[-1] >= 30.0
    pauses.note_change()
    assert pauses.next_s(now) <= 2.0
    assert pauses.next_s(now + 300.0) <= 1.0


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_refused_request_is_an_error(api: KubernetesApi, status: int) -> None:
    api.status = status
    async with following(source_of(api.credentials)) as reports:
        with pytest.raises(SourceError, match=f"HTTP status {status}"):
            await reports.next()


async def test_outside_of_a_cluster_is_an_error(tmp_path: Path) -> None:
    async with following(source_of(PodCredentials({}, tmp_path), namespace="gpu")) as reports:
        with pytest.raises(SourceError, match="not in a pod"):
            await reports.next()


async def test_missing_credentials_are_an_error(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    async with following(source_of(PodCredentials(environ, tmp_path))) as reports:
        with pytest.raises(SourceError, match="namespace"):
            await reports.next()


def test_pod_with_two_addresses_is_one_server() -> None:
    slices = EndpointSlices("http", None)
    slices.put(endpoint_slice("six", endpoint("fd00::1", "pod-1"), endpoint("fd00::2", "pod-2"), family="IPv6"))
    slices.put(endpoint_slice("four", endpoint("10.0.0.1", "pod-1")))
    hosts = {one.labels["pod"]: one.address.host for one in slices.listing().targets}
    assert hosts == {"pod-1": "10.0.0.1", "pod-2": "fd00::2"}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"metadata": {"name": "a"}}, "a: not an EndpointSlice of discovery.k8s.io/v1"),
        (endpoint_slice("a", endpoint("10.0.0.1"), port=None), "a: has no port http"),
        (endpoint_slice("a", {"addresses": []}), "a.endpoints[0]: has no address"),
        (endpoint_slice("a", {"addresses": [3]}), "a.endpoints[0]: has no address"),
        (endpoint_slice("a", endpoint("10.0.0.999")), "a.endpoints[0]: "),
        ("text", ": not an EndpointSlice of discovery.k8s.io/v1"),
    ],
)
def test_wrong_slice_is_refused_alone(found: Any, why: str) -> None:
    slices = EndpointSlices("http", "http")
    slices.put(endpoint_slice("z", endpoint("10.0.0.2", "pod-2")))
    slices.put(found)
    listing = slices.listing()
    assert [one.address.host for one in listing.targets] == ["10.0.0.2"]
    (refused,) = [render(one.message, "en") for one in listing.refusals]
    assert refused.startswith(why)
