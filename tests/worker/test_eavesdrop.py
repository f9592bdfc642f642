"""What bodies in the worker's process tell the log is heard, and the log itself is as it was."""

from __future__ import annotations

import subprocess
import sys
import textwrap

LISTEN = """
import logging, sys
from slotwise import context
from worker import eavesdrop

class Voice(context.Silence):
    heard = []
    def log(self, output):
        self.heard.append(output.decode())

eavesdrop.listen()
eavesdrop.listen()
job = context.Context("x", voice=Voice())
"""


def said(source: str) -> tuple[str, str]:
    """By a process of its own: what it wrote to standard output, and to standard error."""
    ran = subprocess.run(
        [sys.executable, "-c", LISTEN + textwrap.dedent(source)], capture_output=True, text=True, check=True
    )
    return ran.stdout, ran.stderr


def test_the_log_can_still_be_configured() -> None:
    source = """
        logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="USER %(message)s")
        logging.getLogger("mine").debug("hello")
        here = context.begin(lambda: job)
        logging.getLogger("mine").info("in the job")
        logging.getLogger("arq.worker").info("of the worker")
        context.end(here)
        print(Voice.heard)
    """
    out, error = said(source)
    lines = ["USER hello", "USER in the job", "USER of the worker", "['INFO mine: in the job\\n']"]
    assert (out.splitlines(), error) == (lines, "")


def test_a_log_that_nobody_configured_still_warns_on_standard_error() -> None:
    source = """
        here = context.begin(lambda: job)
        logging.getLogger("mine").info("heard only")
        logging.getLogger("mine").warning("told")
        quiet = logging.getLogger("quiet")
        quiet.propagate = False
        quiet.info("heard, too")
        context.end(here)
        print(Voice.heard)
    """
    out, error = said(source)
    assert error == "told\n"
    assert out == "['INFO mine: heard only\\n', 'WARNING mine: told\\n', 'INFO quiet: heard, too\\n']\n"


def test_what_a_job_prints_is_its_own_and_its_log_is_heard_once() -> None:
    source = """
        import threading
        logging.basicConfig(level=logging.INFO, format="LOG %(message)s")  # its handler writes to the new stderr
        print("before")
        here = context.begin(lambda: job)
        print("printed", 1)
        print("to stderr", file=sys.stderr)
        sys.stdout.writelines(["two\\n", "lines \\udcff\\n"])
        logging.getLogger("mine").info("logged")
        other = threading.Thread(target=print, args=("of no job",))
        other.start()
        other.join()
        context.end(here)
        print("after", sys.stdout.fileno(), sys.stdout.isatty())
        print("".join(Voice.heard))
    """
    out, error = said(source)
    assert error == "LOG logged\n"
    lines = ["before", "of no job", "after 1 False", "printed 1", "to stderr", "two", "lines \\udcff"]
    assert out.splitlines() == [*lines, "INFO mine: logged", ""]


def test_hearing_takes_no_lock_that_a_thread_could_leave_taken() -> None:
    source = """
        def acquire(handler):
            raise AssertionError
        own, logging.Handler.acquire = logging.Handler.acquire, acquire
        here = context.begin(lambda: job)
        logging.getLogger("mine").info("heard")
        context.end(here)
        logging.Handler.acquire = own
        print(Voice.heard)
    """
    assert said(source) == ("['INFO mine: heard\\n']\n", "")


def test_a_forked_child_prints_to_the_worker() -> None:
    source = """
        import os
        here = context.begin(lambda: job)
        if os.fork() == 0:
            print("from below", flush=True)
            os._exit(0)
        os.wait()
        context.end(here)
        print(Voice.heard)
    """
    assert said(source) == ("from below\n[]\n", "")
