"""What a version of ComfyUI has, and the throttling of progress, whose steps the transcripts do not compare."""

from dataclasses import replace

import pytest

from statemachine.simulator import PROFILES
from statemachine.simulator.dialects import Dialect, Feature, dialect_of
from statemachine.simulator.profiles import Profile
from tests.simulator.harness import RecordingSocket, running_server, slow_model
from tests.support.paths import DOCS

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("feature", Feature)
def test_feature_exists_from_its_version_on(feature: Feature) -> None:
    since = ".".join(map(str, feature.since))
    assert Dialect(since).has(feature)
    assert Dialect("1.0").has(feature)
    assert not Dialect("0.2.2").has(feature)


@pytest.mark.parametrize("text", ["", "0", "v0.28", "0.28.2-dev", "0.28.2.1", "0.28\n", "-1.2", "０.3"])
def test_dialect_of_another_text_raises(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version of ComfyUI such as"):
        dialect_of(text)


@pytest.mark.parametrize(
    ("version", "seconds", "steps"),
    [("0.3.75", 0.4, 10), ("0.9.2", 0.4, 4), ("0.9.2", 0.05, 2), ("0.28.2", 5.0, 10)],
)
async def test_progress_is_throttled_in_newer_versions(version: str, seconds: float, steps: int) -> None:
    async with running_server(replace(PROFILES["cold"], comfyui=version)) as harness:
        harness.server.connect("me", socket := RecordingSocket())
        await harness.run(slow_model("a", seconds), client_id="me")
    values = [frame["data"]["value"] for frame in socket.frames if frame["type"] == "progress"]
    assert len(values) == steps
    assert (values[0], values[-1]) == (1, 10)


def test_docs_have_the_table_of_features() -> None:
    rows = [f"| {'.'.join(map(str, feature.since))} | {feature.meaning} |" for feature in Feature]
    assert "\n".join(rows) in (DOCS / "comfyui.md").read_text(encoding="utf-8")


async def test_installed_version_runs_after_restart_with_restored_queue() -> None:
    async with running_server(Profile("restoring", comfyui="0.2.2", restore_after=0.1)) as harness:
        harness.server.stall()
        harness.server.start_foreign_job(1.0)
        harness.server.install("0.28.2")
        assert harness.server.process.dialect.version == "0.2.2"
        await harness.server.restart()
        await harness.until(lambda: harness.server.process.queue.history)
        assert harness.server.process.dialect.version == "0.28.2"
        jobs = await harness.get("/api/jobs")
        assert [job["status"] for job in jobs["jobs"]] == ["completed"]
