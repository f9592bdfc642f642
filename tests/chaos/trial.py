"""One run, played and judged."""

from __future__ import annotations

import asyncio
import time

from tests.chaos import of_failover
from tests.chaos.cast import Plan
from tests.chaos.failover import Failovers, GuardedFailovers
from tests.chaos.phases import Run
from tests.chaos.report import Report, report
from tests.chaos.verdict import verdicts

FAILOVERS = {"plain": Failovers, "guarded": GuardedFailovers}


def trial(plan: Plan, slack: float = 1.0) -> Report:
    begun = time.monotonic()
    run = FAILOVERS[plan.failover](plan) if plan.failover else Run(plan)
    asyncio.run(run.play())
    judge = of_failover.verdicts if plan.failover else verdicts
    return report(plan, slack, time.monotonic() - begun, judge)
