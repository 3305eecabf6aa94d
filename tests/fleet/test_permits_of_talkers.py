"""Servers whose warm-up only talks: it ends, and the permits are free for other servers."""

from dataclasses import replace
from pathlib import Path

from statemachine.simulator import PROFILES, running_fleet
from tests.fleet.event_recorder import daemon

TALKER = replace(PROFILES["stalling"], load_seconds=0.0, stall_after_models=1, talks_every=0.02)
HONEST = replace(PROFILES["node"], loaded=True, load_seconds=0.0)


async def test_talkers_with_all_permits_give_them_up(tmp_path: Path) -> None:
    """Later looks at their prompts, which stay on the servers, take no permit and send nothing."""
    limits = {"max_warming": 2, "max_warming_per_host": 2}
    timing = {"warm_timeout_s": 1.0, "failed_retry_s": 0.2, "retry_s": 0.1}
    async with running_fleet([TALKER, TALKER, HONEST]) as fleet:
        talkers, honest = fleet.servers[:2], fleet.servers[2]
        async with daemon(tmp_path, fleet.urls, limits=limits, timing=timing) as recorder:
            names = [member.name for member in fleet.members]
            for name in names[:2]:
                await recorder.reached("warming", server=name)
            await recorder.reached("loaded", server=names[2])
            mark = recorder.length
            honest.drop_keys(keep_executor=False)
            for name in names[:2]:
                _, failed = await recorder.reached("failed", server=name)
                assert failed["reason"] == "queue_stuck"
            await recorder.reached("loaded", mark, server=names[2])
            mark = recorder.length
            for name in names[:2]:
                await recorder.reached("warming", mark, server=name)
            honest.drop_keys(keep_executor=False)
            await recorder.reached("warming", mark, server=names[2])
            await recorder.reached("loaded", mark, server=names[2])
        assert [len(server.log) for server in talkers] == [1, 1]
