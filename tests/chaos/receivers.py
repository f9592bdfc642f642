"""Receivers of webhooks, a process each: told by lines of JSON how to behave, they write down what they got.

A request is verified as any receiver would, by the public library of Standard Webhooks.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import subprocess
import sys
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

from tests.chaos.ledger import HOOKS, Ledger

PATH = "/hook"
ANSWERS = {  # by how a receiver behaves; one that hangs answers nothing
    "well": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "redirects": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "garbage": b"\x00\xff well, 200 \r\n\r\n" * 2_000,
}


def new_secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


class Desk:
    """What serves, in the receiver's own process."""

    def __init__(self, name: str, ledger: Ledger, secret: str) -> None:
        self._name = name
        self._ledger = ledger
        self._webhook = Webhook(secret)
        self._manner = "well"
        self._changed = asyncio.Event()

    def behave(self, manner: str) -> None:
        """Who waits for an answer until then gets none."""
        self._manner = manner
        self._changed.set()
        self._changed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # a worker that was killed hangs up
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            manner, changed = self._manner, self._changed
            well = self._got(head[0].split(" ")[1], headers, body, manner)
            if manner == "hangs":
                await changed.wait()
            else:
                writer.write(ANSWERS[manner] if well or manner != "well" else b"HTTP/1.1 401 No\r\n\r\n")
                await writer.drain()
        with suppress(OSError):
            writer.close()
            await writer.wait_closed()

    def _got(self, path: str, headers: dict[str, str], body: bytes, manner: str) -> bool:
        """Write it down, before it is answered: whether it is what we were to get."""
        try:
            event = self._webhook.verify(body, headers)
        except (WebhookVerificationError, ValueError) as error:
            self._ledger.write("forged", receiver=self._name, path=path, error=str(error), body=repr(body[:200]))
            return False
        self._ledger.write(
            "told",
            receiver=self._name,
            path=path,
            id=headers["webhook-id"],
            job=event["data"]["job_id"],
            type=event["type"],
            status=event["data"]["status"],
            manner=manner,
        )
        return True


async def serve(name: str, port: int, directory: Path, secret: str) -> None:
    desk = Desk(name, Ledger(directory / HOOKS), secret)
    server = await asyncio.start_server(desk.serve, "127.0.0.1", port, backlog=256)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with server:
        sys.stdout.write("{}\n")
        sys.stdout.flush()
        while line := await orders.readline():
            desk.behave(json.loads(line)["manner"])


class Receiver:
    """The process, for who starts and ends it; always on the same port."""

    def __init__(self, name: str, port: int, directory: Path, secret: str, root: Path) -> None:
        self.name = name
        self.port = port
        self.lock = asyncio.Lock()  # of the fault that is being done to it
        self._words = [name, str(port), str(directory), secret]
        self._root = root
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *self._words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._root,
            text=True,
        )

    def listens(self) -> None:
        """Return when it does."""
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), f"{self.name} does not listen"

    def behave(self, manner: str) -> None:
        """`well`, or as a fault has it."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"manner": manner}) + "\n")
        self._process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def main(name: str, port: str, directory: str, secret: str) -> None:
    asyncio.run(serve(name, int(port), Path(directory), secret))


if __name__ == "__main__":
    main(*sys.argv[1:])
