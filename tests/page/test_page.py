"""The dashboard, as a browser shows it: every panel and every action, on a fleet that runs real jobs."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.facts import wait_until
from tests.page.conftest import House, Tab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PANELS = ["#/", "#/jobs", "#/algorithms", "#/algorithms/PrimeChecker", "#/workers", "#/failures"]
SEEING = ("read", "operate", "admin")
NASTY = "<img src=x onerror=alert(1)>"


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect

    return expect(locator)


def drawn_anew(tab: Tab) -> None:
    """Return once the panel has been drawn anew, from what was asked for since."""
    asked = len(tab.requests)
    wait_until(lambda: tab.page.evaluate("1") and len(tab.requests) > asked + 5, what="it is drawn anew")


def test_every_panel_is_in_order(house: House, tab: Tab) -> None:
    """By axe in light and in dark, on a phone and on a wall; what a job says is never markup."""
    failed = house.submit("Raises", {"nasty": NASTY}, message=NASTY)
    held = house.submit("Sleep", seconds=600)
    house.wait(failed, "failed")
    house.wait(held, "running")
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme)
        for panel in [*PANELS, f"#/jobs/{failed}", f"#/jobs/{held}"]:
            tab.go(panel)
            expect(tab.page.locator("main h2").first).to_be_visible()
            expect(tab.page.locator(".notice", has_text="Reading")).to_have_count(0)
            assert tab.axe() == [], panel
            for width in (360, 2560):
                tab.page.set_viewport_size({"width": width, "height": 900})
                assert not tab.overflows(), (panel, width)
            assert tab.page.locator("img[src=x]").count() == 0
    assert tab.page.evaluate("document.title").endswith("Slotwise")
    tab.go(f"#/jobs/{failed}")
    expect(tab.page.locator("p.bad", has_text=NASTY)).to_be_visible()


def test_the_board_and_the_cap(house: House, tab: Tab) -> None:
    tab.go("#/")
    cells = tab.page.locator(".cell")
    expect(cells).to_have_count(10)
    expect(tab.page.locator(".pulse")).to_have_text("live")
    expect(tab.page.locator(".cell.empty", has_text="nothing waits")).to_have_count(10)
    jobs = [house.submit("Sleep", seconds=600) for _ in range(3)]
    expect(tab.page.locator(".cell.taken", has_text="Sleep")).to_have_count(3)
    weighed = house.submit("Hold", seconds=600)
    cell = tab.page.locator(".cell.taken", has_text="Hold")
    expect(cell).to_contain_text("MB")
    cell.click()
    expect(tab.page.locator(".facts", has_text="memory now")).to_contain_text("MB")
    house.client.post(f"/jobs/{weighed}/cancel")
    tab.go("#/")
    expect(tab.page.locator(".figures")).to_contain_text("3 of 10")
    expect(tab.page.locator(".badge")).to_have_text(re.compile("cap kept"))

    tab.page.get_by_label("New cap").fill("2")
    tab.page.get_by_label("Reason").fill("for the test")
    tab.page.locator("select[name=ttl]").select_option("3600")
    tab.page.get_by_role("button", name="Change…").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("From 10 to 2: 1 running job above it runs to the end")
    assert tab.axe() == []
    assert house.client.get("/jobs/concurrency/status").json()["max_concurrent"] == 10
    dialog.get_by_role("button", name="Set it to 2").click()
    expect(tab.page.locator(".cap")).to_contain_text("for the test")
    expect(tab.page.locator(".cell.drains")).to_have_count(1)
    waiting = house.submit("Sleep", seconds=600)
    expect(tab.page.locator(".figures")).to_contain_text("waiting1")
    tab.page.get_by_text("Who changed it").click()
    expect(tab.page.get_by_role("region", name="Changes of caps")).to_contain_text("for the test")
    tab.page.get_by_role("button", name="Back to configured…").click()
    dialog.get_by_role("button", name="Back to configured").click()
    expect(tab.page.locator(".cell.taken")).to_have_count(4)
    assert house.job(waiting)["status"] == "running"

    house.client.put("/jobs/concurrency", json={"max_concurrent": 200})
    expect(tab.page.locator(".dense .cell")).to_have_count(200)
    expect(tab.page.locator(".dense .cell.taken a")).to_have_count(4)
    assert tab.axe() == []
    tab.page.locator(".badge").click()
    expect(dialog).to_contain_text("violations0")
    tab.page.keyboard.press("Escape")
    taken = tab.page.locator(".cell.taken a")  # in the order in which the page came to know them
    second = str(taken.nth(1).get_attribute("href")).rpartition("/")[2]
    taken.first.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("Enter")
    assert second in [*jobs, waiting]
    expect(tab.page.get_by_role("heading", name=f"Sleep {second}")).to_be_visible()
    tab.go("#/?window=900")
    expect(tab.page.locator(".chart canvas")).to_have_count(3)
    tab.page.get_by_role("link", name="24 h").click()
    expect(tab.page.get_by_role("link", name="24 h")).to_have_attribute("aria-current", "true")


def test_a_job_from_its_first_word_to_its_retry(house: House, tab: Tab) -> None:
    job_id = house.submit("SayAsync", name="an echo", until="/never")
    tab.go(f"#/jobs/{job_id}")
    log = tab.page.get_by_role("log")
    expect(log).to_contain_text("said an echo")
    expect(tab.page.locator("progress")).to_have_attribute("value", "25")
    expect(tab.page.locator(".timeline")).to_contain_text("attempt 1 began")
    cancel = tab.page.get_by_role("button", name="Cancel…")
    cancel.click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("It runs")
    dialog.get_by_role("button", name="Leave it").click()
    assert house.job(job_id)["status"] == "running"
    cancel.click()
    dialog.get_by_role("button", name="Cancel it").click()
    expect(tab.page.locator("main .status.cancelled")).to_be_visible()
    tab.page.get_by_role("button", name="Retry").click()
    expect(tab.page.locator("main .status.running")).to_be_visible()
    expect(log).to_contain_text("said an echo")


def test_why_a_job_waits(house: House, tab: Tab) -> None:
    house.client.put("/jobs/concurrency", json={"max_concurrent": 1})
    holder = house.submit("Sleep", seconds=600)
    house.wait(holder, "running")
    waiting = house.submit("Sleep", seconds=600)
    tab.go("#/jobs?status=pending")
    expect(tab.page.locator("td.said")).to_contain_text("1 in line")
    tab.page.locator("a.id").click()
    expect(tab.page.get_by_text("All 1 slots are taken")).to_be_visible()
    expect(tab.page.locator(f'.ids a[title="{holder}"]')).to_be_visible()
    house.client.post(f"/jobs/{holder}/cancel")
    expect(tab.page.locator("main .status.running")).to_be_visible()
    assert house.job(waiting)["status"] == "running"


def test_filters_are_addresses_and_bulk_actions_count_first(house: House, tab: Tab) -> None:
    house.client.put("/jobs/concurrency", json={"max_concurrent": 0})
    ours = [house.submit("Echo", {"batch": "seven"}, value=n) for n in range(3)]
    house.submit("Sleep", {"batch": "eight"}, seconds=0)
    tab.go("#/jobs")
    tab.page.get_by_label("Status").select_option("pending")
    tab.page.get_by_label("Label").fill("batch:seven")
    drawn_anew(tab)
    tab.page.get_by_label("Label").press("Enter")
    rows = tab.page.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(tab.page.get_by_label("Label")).to_be_focused()
    assert "status=pending" in tab.page.url and "label=batch%3Aseven" in tab.page.url
    tab.page.reload()
    expect(rows).to_have_count(3)
    expect(tab.page.get_by_label("Label")).to_have_value("batch:seven")
    tab.page.get_by_role("button", name="Cancel all of these…").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 jobs will be cancelled")
    dialog.get_by_role("button", name="Cancel 3 jobs").click()
    expect(rows).to_have_count(0)
    assert {house.job(one)["status"] for one in ours} == {"cancelled"}
    tab.go("#/jobs?status=cancelled&label=batch:seven&newer=3600")
    expect(rows).to_have_count(3)
    tab.page.get_by_role("button", name="Retry all of these…").click()
    dialog.get_by_role("button", name="Retry 3 jobs").click()
    expect(rows).to_have_count(0)
    assert {house.job(one)["status"] for one in ours} == {"pending"}
    tab.page.get_by_label("Job id").fill(ours[0])
    tab.page.get_by_label("Job id").press("Enter")
    expect(tab.page.get_by_role("heading", name=f"Echo {ours[0]}")).to_be_visible()


def test_an_algorithm_is_tried_with_the_form_of_its_schema(house: House, tab: Tab) -> None:
    tab.go("#/algorithms")
    tab.page.get_by_role("link", name="PrimeChecker").click()
    number = tab.page.get_by_label("number", exact=True)
    expect(number).to_have_value("97")
    tab.expected = {422}  # a browser logs it
    number.fill("many")
    tab.page.get_by_role("button", name="Submit a job").click()
    expect(number).to_have_attribute("aria-invalid", "true")
    assert tab.axe() == []
    number.fill("18446744073709551557")  # a prime that a double would round
    drawn_anew(tab)
    tab.page.get_by_role("button", name="Submit a job").click()
    expect(tab.page.locator("main [role=status] pre")).to_contain_text('"number": 18446744073709551557')
    tab.go("#/algorithms/Hold")
    tab.page.get_by_label("New cap").fill("1")
    tab.page.get_by_role("button", name="Change…").click()
    tab.page.get_by_role("button", name="Set it to 1").click()
    expect(tab.page.get_by_text("Its own cap is 1.")).to_be_visible()
    tab.page.get_by_role("button", name="Back to declared…").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Back to declared").click()
    expect(tab.page.get_by_text("It has no cap of its own.")).to_be_visible()


def test_failures_lead_to_their_jobs(house: House, tab: Tab) -> None:
    jobs = [house.submit("Raises", message="the disk is full") for _ in range(2)]
    for job_id in jobs:
        house.wait(job_id, "failed")
    tab.go("#/failures")
    card = tab.page.locator(".card", has_text="the disk is full")
    expect(card).to_contain_text("ValueError in zoo.py:Raises")
    card.locator("h3 a").click()
    expect(tab.page.locator("tbody tr", has_text="the disk is full")).to_have_count(2)
    tab.page.locator("a.id").first.click()
    expect(tab.page.get_by_role("heading", name="Error")).to_be_visible()


def test_a_worker_is_drained_and_another_dies_while_the_page_is_open(house: House, tab: Tab) -> None:
    tab.go("#/workers")
    cards = tab.page.locator(".card")
    expect(cards).to_have_count(1)
    cards.get_by_role("button", name="Drain").click()
    expect(cards.locator(".status", has_text="drained")).to_be_visible()
    second = house.fleet.worker()
    expect(cards).to_have_count(2)
    job_id = house.submit("Sleep", seconds=600)
    house.wait(job_id, "running")
    tab.go("#/")
    expect(tab.page.locator(".cell.taken")).to_have_count(1)
    tab.go("#/workers")
    cards.get_by_role("button", name="Resume").click()
    expect(cards.get_by_role("button", name="Resume")).to_have_count(0)
    tab.go("#/")
    first_worker = tab.page.locator(".cell.taken .worker")
    name = first_worker.inner_text()
    second.kill(signal.SIGKILL)
    expect(first_worker).not_to_have_text(name)  # by way of "worker lost", and of the queue
    expect(first_worker).to_have_text(re.compile(r".+:\d+"))
    expect(tab.page.locator(".figures li", has_text="workers")).to_contain_text("1")
    assert house.job(job_id)["status"] == "running"


def test_a_hidden_tab_asks_for_nothing(house: House, tab: Tab) -> None:
    tab.go("#/")
    expect(tab.page.locator(".cell")).to_have_count(10)
    hide = """hidden => {
      Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    tab.page.evaluate(hide, True)
    expect(tab.page.locator(".pulse")).to_contain_text("paused")
    tab.page.wait_for_load_state("networkidle")
    asked = len(tab.requests)
    house.wait(house.submit("Sleep", seconds=2.5), "completed")  # longer than the slowest pulse
    assert tab.requests[asked:] == []
    house.submit("Sleep", seconds=600)
    tab.page.evaluate(hide, False)
    expect(tab.page.locator(".cell.taken")).to_have_count(1)


def test_a_service_that_comes_back_is_seen_again(house: House, tab: Tab) -> None:
    tab.go("#/")
    expect(tab.page.locator(".cell")).to_have_count(10)
    before = list(tab.faults)
    tab.page.context.set_offline(True)
    expect(tab.page.locator(".notice.bad")).to_contain_text("does not answer")
    tab.page.context.set_offline(False)
    expect(tab.page.locator(".notice.bad")).to_have_count(0)
    tab.faults[:] = before  # a browser logs each request that failed


@pytest.fixture
def keys(house: House) -> Iterator[dict[str, str]]:
    """A key of each scope that sees another page, by scope; afterwards the door is open again."""
    made = {scope: house.command("keys", "create", f"of-{scope}", "--scope", scope) for scope in SEEING}
    wait_until(lambda: house.client.get("/jobs").status_code == 401, within=10, what="a key is asked for")
    yield made
    house.command("keys", "reset", "--yes")
    wait_until(lambda: house.client.get("/jobs").status_code == 200, within=10, what="no key is asked for")


def come_in(tab: Tab, key: str) -> None:
    """As somebody who has just opened the page, in a tab that knows no key."""
    tab.page.goto("about:blank")
    tab.go("")
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_role("button", name="Use this key").click()


def leave(tab: Tab) -> None:
    tab.page.get_by_role("button", name="Forget the key").click()
    expect(tab.page.get_by_role("dialog")).to_have_count(1)


def refusal(tab: Tab, what: str, scope: str) -> Any:
    return tab.page.get_by_text(re.compile(f"Not for this key: {what}.*needs an API key of scope {scope}"))


def test_a_key_is_asked_for_kept_in_the_tab_and_its_scope_is_shown(
    house: House, tab: Tab, keys: dict[str, str]
) -> None:
    """The door's own keys; nothing that was refused is asked for again."""
    tab.expected = {401, 403}
    come_in(tab, "slw_another")
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nobody knows this API key")
    assert tab.axe() == []
    dialog.get_by_role("button", name="Close").click()
    expect(tab.page.locator(".pulse")).to_have_text("no key")
    leave(tab)
    assert tab.page.evaluate("sessionStorage.length") == 0

    come_in(tab, keys["read"])
    expect(tab.page.locator(".notice", has_text="No job fits")).to_be_visible()  # it starts with what it may see
    expect(tab.page.locator(".pulse")).to_have_text("every 2 s")
    tab.page.get_by_role("button", name="Cancel all of these…").click()
    expect(tab.page.get_by_text("needs an API key of scope submit")).to_be_visible()
    tab.page.get_by_role("link", name="Slots").click()
    expect(refusal(tab, "the slots", "operate")).to_be_visible()
    expect(refusal(tab, "the flow", "admin")).to_be_visible()
    expect(tab.page.locator(".figures li")).to_have_text([re.compile("0 of 10")])
    assert tab.axe() == []
    tab.go("#/workers")
    expect(refusal(tab, "the workers", "operate")).to_be_visible()
    tab.go("#/algorithms")
    expect(refusal(tab, "what runs and waits", "operate")).to_be_visible()
    expect(tab.page.locator("tbody tr", has_text="PrimeChecker")).to_be_visible()
    kept = tab.page.evaluate("[localStorage.length, document.cookie, sessionStorage.getItem('slotwise-key')]")
    assert kept == [0, "", keys["read"]]
    leave(tab)

    as_admin = {"Authorization": f"Bearer {keys['admin']}"}
    sent = house.client.post("/jobs", json={"algorithm": "Sleep", "params": {"seconds": 600}}, headers=as_admin)
    job_id = sent.json()["job_id"]
    come_in(tab, keys["operate"])
    expect(tab.page.locator(".cell.others")).to_have_count(1)
    expect(tab.page.locator(".cell.empty")).to_have_count(9)
    expect(refusal(tab, "the flow", "admin")).to_be_visible()
    expect(refusal(tab, "the proof", "admin")).to_be_visible()
    expect(tab.page.locator(".badge")).to_have_count(0)
    assert tab.axe() == []
    tab.page.get_by_label("New cap").fill("9")
    tab.page.get_by_role("button", name="Change…").click()
    dialog.get_by_role("button", name="Set it to 9").click()
    expect(tab.page.locator(".cap")).to_contain_text("set by key of-operate")
    tab.go("#/workers")
    expect(tab.page.locator(".card")).to_have_count(1)
    asked = len(tab.requests)
    tab.go("#/")
    expect(refusal(tab, "the flow", "admin")).to_be_visible()
    expect(refusal(tab, "the proof", "admin")).to_be_visible()
    drawn_anew(tab)
    assert not [url for url in tab.requests[asked:] if re.search("stats|proof|/events", url)]
    leave(tab)

    come_in(tab, keys["admin"])
    expect(tab.page.locator(".cell.taken")).to_have_count(1)
    expect(tab.page.locator(".pulse")).to_have_text("live")
    expect(tab.page.locator(".badge")).to_have_text(re.compile("cap kept"))
    tab.page.reload()
    expect(tab.page.locator(".cell")).to_have_count(9)
    house.command("keys", "revoke", "of-admin")
    expect(dialog).to_contain_text("revoked")
    house.command("keys", "reset", "--yes")
    wait_until(lambda: house.client.post(f"/jobs/{job_id}/cancel").status_code == 202, what="the door is open")
