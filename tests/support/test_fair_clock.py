"""The fair clock leaves out waits for a processor, and nothing else."""

import asyncio
import subprocess
import sys
import time

from tests.support.fair_clock import FairClock
from tests.support.paths import REPOSITORY

WORK_S = 0.6
ON_ONE_PROCESSOR = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
COMPETITOR = f"{ON_ONE_PROCESSOR}\nwhile True: pass"
WORKER = f"""{ON_ONE_PROCESSOR}
import time
from tests.support.fair_clock import FairClock
clock, begin = FairClock(), time.monotonic()
while time.process_time() < {WORK_S}: pass
print(clock.now(), time.monotonic() - begin)
"""


def test_fair_clock_beside_a_busy_process_counts_work_only() -> None:
    competitor = subprocess.Popen([sys.executable, "-c", COMPETITOR])
    try:
        program = [sys.executable, "-c", WORKER]
        printed = subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    finally:
        competitor.kill()
        competitor.wait()
    fair_s, wall_s = map(float, printed.split())
    assert fair_s < WORK_S + 0.1
    assert wall_s > fair_s * 1.3


def test_fair_clock_counts_work() -> None:
    clock, begin = FairClock(), time.thread_time()
    while time.thread_time() - begin < WORK_S:
        pass
    assert clock.now() > WORK_S * 0.9


async def test_fair_clock_counts_waits_for_others() -> None:
    clock = FairClock()
    await asyncio.sleep(0.2)
    assert clock.now() > 0.19
