"""`python -m campaigns.cluster [--kills N] ...`: exit 0 without violations, else 1."""

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from loguru import logger

from campaigns.cluster.campaign import SERVERS, Plan, campaign


def main() -> int:
    """Run the campaign; it prints its report."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.cluster", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="number of kills of a daemon")
    parser.add_argument("--freezes", type=int, default=10, help="number of freezes for twice the lease")
    parser.add_argument("--brokers", type=int, default=3, help="number of nats-servers to kill in turn")
    parser.add_argument("--damage", type=float, default=60.0, help="seconds in which shared values are damaged")
    parser.add_argument("--away", type=float, default=60.0, help="seconds without any nats-server")
    parser.add_argument("--joins", type=int, default=1, help="0: no fourth daemon joins and leaves")
    parser.add_argument("--servers", type=int, default=SERVERS, help="number of simulated servers")
    parser.add_argument("--seed", type=int, default=1, help="seed of the nodes and moments")
    parser.add_argument("--folder", type=Path, help="folder of journals and logs; default: a new temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        kills=options.kills,
        freezes=options.freezes,
        brokers=options.brokers,
        damage_s=options.damage,
        away_s=options.away,
        joins=bool(options.joins),
        servers=options.servers,
        seed=options.seed,
    )
    logger.remove()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end all started processes
    report = asyncio.run(campaign(folder, plan))
    print(f"journals and logs: {folder}")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
