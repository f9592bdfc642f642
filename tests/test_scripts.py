"""The scripts as files: each says what it takes and gives, and which may write to a full server."""

from __future__ import annotations

from pathlib import Path

import pytest

from slotwise import scripts

LUA = Path(scripts.__file__).with_name("lua")


def test_every_file_is_a_script_and_every_script_a_file() -> None:
    assert {path.stem for path in LUA.glob("*.lua")} == {script.name for script in scripts.ALL}


@pytest.mark.parametrize("script", scripts.ALL, ids=lambda script: script.name)
def test_header(script: scripts.Script) -> None:
    assert "-- after:" in script.source, "a header says the state after the move"


def test_only_what_takes_more_room_is_refused_by_a_full_server() -> None:
    refused = {script.name for script in scripts.MOVES if not script.source.startswith("#!lua flags=allow-oom\n")}
    assert refused == {"submit", "retry", "say"}


@pytest.mark.parametrize("script", scripts.READS, ids=lambda script: script.name)
def test_a_read_writes_nothing(script: scripts.Script) -> None:
    assert script.source.startswith("#!lua flags=no-writes\n")


def test_a_header_that_lacks_a_part_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lua").mkdir()
    (tmp_path / "lua" / "bare.lua").write_text("#!lua\n-- bare: nothing\n-- KEYS none\n-- ARGV none\n")
    monkeypatch.setattr(scripts.resources, "files", lambda _: tmp_path)
    with pytest.raises(AssertionError, match="returns"):
        _ = scripts.Script("bare").source
