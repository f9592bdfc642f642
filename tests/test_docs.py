"""The Python in docs/algorithms.md runs, as it stands there, from the first block to the last."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest

from slotwise import Algorithm, cli, sizing
from slotwise.advice import advise
from slotwise.demand import Demand
from tests.fleet import ROOT
from tests.test_advice import host, load

PAGE = ROOT / "docs" / "algorithms.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_blocks_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("docs_algorithms")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    text = PAGE.read_text()
    for block in BLOCK.finditer(text):
        lines = text[: block.start(1)].count("\n")  # so that a traceback names the page's own line
        exec(compile("\n" * lines + block[1], str(PAGE), "exec"), vars(module))
    algorithms = [one for one in vars(module).values() if isinstance(one, Algorithm)]
    assert [one.describe()["name"] for one in algorithms] == ["Shorten", "Bounded", "Total", "Mood"]


def test_the_table_of_sizes_is_what_the_command_prints() -> None:
    demand = Demand(10, 0, 0, (host(memory_free_mb=8000),), (load(name="Fetch"),))
    assert f"$ slotwise size 12\n{sizing.as_text(advise(demand, [12]))}\n```" in PAGE.read_text()
    assert cli.size.name == "size"


def test_every_field_of_the_advice_is_documented() -> None:
    told = sizing.as_dict(advise(Demand(10, 0, 0, (host(memory_free_mb=8000),), (load(),))))
    page = PAGE.read_text()
    rows = {*told, *told["load"], *told["limits"], *told["outlook"][0], *told["hosts"][0]} - {"max_concurrent"}
    assert {name for name in rows if f"`{name}`" not in page} == set()
