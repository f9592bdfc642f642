"""What a body says, on its way through the worker: the newest is kept, nothing is told twice or lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from slotwise.words import Words
from tests.facts import wait_for
from worker.hearing import MOST_BYTES, Hearing
from worker.page import Page
from worker.speech import Speech


def spoken(keep: int = 100) -> tuple[Speech, list[Speech]]:
    heard: list[Speech] = []
    return Speech("j", "t", keep, heard.append, lambda: False), heard


def test_it_is_heard_once_until_it_is_taken() -> None:
    speech, heard = spoken()
    speech.log(b"a")
    speech.log(b"b")
    assert heard == [speech]
    assert speech.take() == Words("j", "t", 1, None, 0, b"ab")
    assert speech.take() is None
    speech.progress(1, "x")
    speech.progress(2, "y")
    assert heard == [speech] * 2
    assert speech.take() == Words("j", "t", 2, (2, "y"), 0, b"")


def test_the_newest_bytes_are_kept_and_the_others_counted() -> None:
    speech, _ = spoken(100)
    for number in range(50):
        speech.log(b"%09d\n" % number)
    words = speech.take()
    assert words is not None
    assert (words.left_out, words.output) == (400, b"".join(b"%09d\n" % number for number in range(40, 50)))
    speech.log(b"x" * 1_000 + b"y" * 100)
    words = speech.take()
    assert words is not None
    assert (words.left_out, words.output) == (1_000, b"y" * 100)


def test_with_nothing_to_keep_output_is_not_heard() -> None:
    speech, heard = spoken(0)
    speech.log(b"x")
    assert (heard, speech.take()) == ([], None)


def test_a_flood_is_let_go_of_as_it_comes() -> None:
    speech, _ = spoken(1_000)
    chunk = b"x" * 65_536
    for _ in range(1_600):  # 100 MB
        speech.log(chunk)
        assert sum(map(len, speech._output)) <= 65_536
    words = speech.take()
    assert words is not None
    assert words.left_out + len(words.output) == 1_600 * 65_536


class Listener:
    def __init__(self) -> None:
        self.told: list[Words] = []
        self.ready = True
        self.hearing = Hearing(self._pass_on, lambda: self.ready)

    def _pass_on(self, words: Sequence[Words]) -> None:
        self.told += words

    def speech(self, name: str, keep: int = 1 << 20) -> Speech:
        return Speech(name, "t", keep, self.hearing.heard, lambda: False)


async def test_what_many_say_is_passed_on_together_from_any_thread() -> None:
    listener = Listener()
    one, two = listener.speech("one"), listener.speech("two")
    one.log(b"1")
    await asyncio.to_thread(two.log, b"2")
    await wait_for(lambda: len(listener.told) == 2, what="both")
    assert {words.id: words.output for words in listener.told} == {"one": b"1", "two": b"2"}
    assert listener.hearing._timer is None, "it looks on although nobody speaks"


async def test_while_the_store_does_not_answer_words_wait() -> None:
    listener = Listener()
    listener.ready = False
    speech = listener.speech("one", keep=10)
    speech.log(b"x" * 20)
    looked = threading.Event()
    asyncio.get_running_loop().call_later(0.5, looked.set)
    await wait_for(looked.is_set, what="two looks")
    assert listener.told == []
    listener.ready = True
    await wait_for(lambda: listener.told, what="the words")
    assert (listener.told[0].left_out, listener.told[0].output) == (10, b"x" * 10)


async def test_of_much_some_waits_for_the_next_time() -> None:
    listener = Listener()
    speeches = [listener.speech(str(number)) for number in range(10)]
    for speech in speeches:
        speech.log(b"x" * (MOST_BYTES // 2))
    await wait_for(lambda: listener.told, what="the first")
    assert len(listener.told) == 2
    await wait_for(lambda: len(listener.told) == 10, what="the last")
    assert [words.id for words in listener.told] == [speech.id for speech in speeches]


async def test_the_last_words_are_not_passed_on_twice() -> None:
    listener = Listener()
    speech, page = listener.speech("one"), Page.new()
    listener.hearing.watch(page, speech)
    page.write(7, b"last")
    listener.hearing.unwatch(page)
    speech.log(b"x")
    assert listener.hearing.last_words(speech) == Words("one", "t", 1, (7.0, "last"), 0, b"x")
    assert listener.hearing.last_words(speech) is None
    assert listener.hearing._spoke == {}
    listener.hearing.close()
    page.close()
