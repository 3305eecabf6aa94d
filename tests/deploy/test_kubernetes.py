"""The Kubernetes manifests: valid for the API, hardened, and with settings that comfywarm accepts."""

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typing_extensions import override

from statemachine.settings import parse_settings
from statemachine.settings.discovery import KubernetesSource
from tests.support.paths import DEPLOY, DOCS

MANIFESTS = DEPLOY / "kubernetes"
FILES = sorted(MANIFESTS.glob("*.yaml"))
SECRETS = {"COMFYWARM_TOKEN": "t" * 32, "NATS_PASSWORD": "p" * 32, "POD_NAME": "comfywarm-0"}
OLDEST, NEWEST = "1.28", "1.37"
Json = dict[str, Any]


def objects(file: Path) -> list[Json]:
    """Return the objects of a manifest."""
    return list(yaml.safe_load_all(file.read_text("utf-8")))


def of_kind(file: Path, *kinds: str) -> list[Json]:
    return [one for one in objects(file) if one["kind"] in kinds]


def documents() -> Iterator[tuple[str, Json]]:
    for file in FILES:
        yield from ((f"{file.stem}-{one['kind']}-{one['metadata']['name']}", one) for one in objects(file))


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("document", [one for _, one in documents()], ids=[name for name, _ in documents()])
def test_manifest_is_valid_for_the_api(document: Json, version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_invalid_manifest_is_found() -> None:
    (deployment,) = of_kind(MANIFESTS / "comfywarm.yaml", "Deployment")
    deployment["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, OLDEST, strict=True)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_selectors_find_pods_and_services_find_ports(file: Path) -> None:
    (workload,) = of_kind(file, "Deployment", "StatefulSet")
    pod = workload["spec"]["template"]
    labels = pod["metadata"]["labels"]
    ports = {port["name"] for one in pod["spec"]["containers"] for port in one["ports"]}
    assert workload["spec"]["selector"]["matchLabels"] == labels
    for service in of_kind(file, "Service"):
        assert service["spec"]["selector"] == labels
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for budget in of_kind(file, "PodDisruptionBudget"):
        assert budget["spec"]["selector"]["matchLabels"] == labels
    if workload["kind"] == "StatefulSet":
        names = {one["metadata"]["name"] for one in of_kind(file, "Service") if one["spec"].get("clusterIP") == "None"}
        assert workload["spec"]["serviceName"] in names


@pytest.mark.parametrize("name", ["comfywarm", "cluster"])
def test_daemon_pod_is_hardened_and_mounts_what_settings_name(name: str) -> None:
    file = MANIFESTS / f"{name}.yaml"
    (workload,) = of_kind(file, "Deployment", "StatefulSet")
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, True)
    (settings,) = of_kind(file, "ConfigMap")
    parsed = parse_settings(json.loads(settings["data"]["settings.json"]), Path("/etc/comfywarm"), SECRETS)
    mounts = {one["mountPath"]: one.get("readOnly", False) for one in container["volumeMounts"]}
    assert (mounts[str(parsed.data_dir)], mounts[str(parsed.workflows_dir)]) == (False, True)
    volumes = {one["name"] for one in pod["volumes"]}
    volumes |= {one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", ())}
    assert {one["name"] for one in container["volumeMounts"]} == volumes
    assert {port["containerPort"] for port in container["ports"]} == {parsed.listen.port}


@pytest.mark.parametrize("name", ["comfywarm", "cluster"])
def test_settings_find_the_pods_of_the_example(name: str) -> None:
    (settings,) = of_kind(MANIFESTS / f"{name}.yaml", "ConfigMap")
    parsed = parse_settings(json.loads(settings["data"]["settings.json"]), Path("/etc/comfywarm"), SECRETS)
    (source,) = parsed.discovery
    assert isinstance(source, KubernetesSource)
    services = {one["metadata"]["name"]: one["spec"] for one in of_kind(MANIFESTS / "comfyui.yaml", "Service")}
    found = services[source.service]
    assert found["publishNotReadyAddresses"], "a pod is ready only once comfywarm has warmed it"
    assert source.service_port in {port["name"] for port in found["ports"]}
    assert (source.namespace, source.name_label) == (None, "pod"), "the gate asks for the pod's name"


@pytest.mark.parametrize("name", ["comfywarm", "cluster"])
def test_daemon_may_only_follow_endpoint_slices(name: str) -> None:
    file = MANIFESTS / f"{name}.yaml"
    (workload,) = of_kind(file, "Deployment", "StatefulSet")
    (account,), (role,), (binding,) = (of_kind(file, kind) for kind in ("ServiceAccount", "Role", "RoleBinding"))
    rule = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}
    assert role["rules"] == [rule]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    (subject,) = binding["subjects"]
    accounts = (subject["name"], workload["spec"]["template"]["spec"]["serviceAccountName"])
    assert accounts == (account["metadata"]["name"],) * 2


def test_example_image_has_the_version_of_the_package() -> None:
    version = re.search(r'^version = "(.+)"', (DEPLOY.parent / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version is not None
    images = {
        one["image"]
        for name in ("comfywarm", "cluster")
        for workload in of_kind(MANIFESTS / f"{name}.yaml", "Deployment", "StatefulSet")
        for one in workload["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"comfywarm:{version[1]}"}


def test_page_about_operations_names_every_manifest() -> None:
    page = (DOCS / "operations.md").read_text("utf-8")
    assert [file.name for file in FILES if file.name not in page] == []


class ReadyAnswer(http.server.BaseHTTPRequestHandler):
    """Answers the gate's question with `status`."""

    status = 200
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """Serve answers with this status; yield the address and the paths that were asked for."""
    asked = list[str]()
    kind = type("Answer", (ReadyAnswer,), {"status": status, "asked": asked})
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def gate_ends_with(address: str, state: Path) -> int:
    """Run the gate of the ComfyUI pods against that daemon; return its exit code."""
    (servers,) = of_kind(MANIFESTS / "comfyui.yaml", "StatefulSet")
    (container,) = servers["spec"]["template"]["spec"]["containers"]
    program, option, script = container["readinessProbe"]["exec"]["command"]
    assert (program, option) == ("python3", "-c")
    script = script.replace("comfywarm:8799", address).replace("/tmp/comfywarm-ready", str(state))
    return subprocess.run([sys.executable, "-c", script], check=False, timeout=20).returncode


def test_gate_follows_the_daemon_and_keeps_its_answer_without_it(tmp_path: Path) -> None:
    state = tmp_path / "ready"
    assert gate_ends_with("127.0.0.1:1", state) == 1
    with answering(200) as (address, asked):
        assert gate_ends_with(address, state) == 0
    assert re.fullmatch(r"/api/servers/[^/.:]+/ready", asked[0])
    assert gate_ends_with("127.0.0.1:1", state) == 0
    with answering(503) as (address, _):
        assert gate_ends_with(address, state) == 1
    assert gate_ends_with("127.0.0.1:1", state) == 1
