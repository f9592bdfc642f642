"""Drives the containers: what happens to a service in its life, and what must hold meanwhile.

Run by scripts/test-containers.sh, inside the namespaces of tests/containers/engine.sh. It knows the service by its
image, its compose file and HTTP only. Each job is a body that a file's lock keeps in sight (trial.py): so how many
live is known without asking the service, and without any network.
"""

from __future__ import annotations

import base64
import fcntl
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

ROOT = Path(__file__).resolve().parents[2]
URL = "http://127.0.0.1:8000"
PROXY = "http://127.0.0.1:8080"
CAP = 5
SECRET = "whsec_" + base64.b64encode(os.urandom(32)).decode()
HEADERS = {"Content-Type": "application/json"}

OVERRIDE = """
x-trial: &trial
  MAX_CONCURRENT_JOBS: "{cap}"
  RELEASE:
services:
  front-end: {{environment: *trial}}
  front-end-2: {{environment: *trial}}
  worker:
    environment: *trial
    volumes: ["{sight}:/sight"]
"""
# A shell is not needed at run time: the trial's image has none.
DOCKERFILE = """
FROM slotwise
USER 0
RUN ["python", "-c", "import glob, os; [os.remove(each) for each in glob.glob('/usr/bin/*sh')]"]
USER 10001:10001
COPY trial.py /algorithms/
ENV ALGORITHMS=trial
"""


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


def run(*command: str, check: bool = True, timeout: float = 300, **env: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout if check else str(done.returncode)


def wait_until(predicate: Callable[[], Any], what: str, within: float = 120) -> Any:
    deadline = time.monotonic() + within
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.1)
    return value


def ask(path: str, body: Any = None, *, method: str | None = None, base: str = URL) -> Any:
    """The answer as JSON; None where nobody answers, or the store is away (503)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, HEADERS, method=method)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return None
        raise AssertionError(f"{path}: {error.code} {error.read()!r}") from error
    except OSError:
        return None


class Sight:
    """Looks, fifty times a second, how many bodies live. Those of a frozen container do nothing, and do not count:
    while it is frozen its slots may go to others, and when it thaws the kernel kills them before they move.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.most = 0
        self.now = 0
        self.frozen: set[str] = set()
        self.seen = Counter[int]()  # how often each job's body began
        self._open = True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        known: dict[Path, bool] = {}
        while self._open:
            frozen = set(self.frozen)
            for path in self.directory.iterdir():
                if path not in known and path.stat().st_size:
                    known[path] = True
                    self.seen[int(path.name.split("-")[1])] += 1
            for path, alive in known.items():
                known[path] = alive and _locked(path)
            self.now = sum(alive and path.name.split("-")[0] not in frozen for path, alive in known.items())
            self.most = max(self.most, self.now)
            time.sleep(0.02)

    def close(self) -> None:
        self._open = False
        self._thread.join()


def _locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


class Stage:
    """The compose project."""

    def __init__(self, directory: Path, *files: str) -> None:
        self.sight = directory / "sight"
        self.sight.mkdir(mode=0o777, exist_ok=True)
        self.sight.chmod(0o777)
        override = directory / "override.yaml"
        override.write_text(OVERRIDE.format(cap=CAP, sight=self.sight))
        self._files = [word for file in ("compose.yaml", *files, str(override)) for word in ("-f", file)]
        self.release = "1"

    def compose(self, *words: str, check: bool = True) -> str:
        return run(
            "docker-compose",
            *self._files,
            *words,
            check=check,
            SLOTWISE_IMAGE=f"trial:{self.release}",
            RELEASE=self.release,
            WEBHOOK_SECRET=SECRET,
            WEBHOOK_ALLOW="10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
        )

    def up(self, *words: str, workers: int = 3) -> None:
        self.compose("up", "--detach", "--wait", "--no-build", "--scale", f"worker={workers}", *words)

    def workers(self) -> list[str]:
        return self.compose("ps", "--quiet", "worker").split()

    def busiest(self) -> str:
        """The container of the worker that has the most jobs now."""
        told = wait_until(lambda: ask("/workers"), "the workers")["workers"]
        host = max(told, key=lambda worker: worker["running"])["name"].split(":")[0]
        return next(worker for worker in self.workers() if host_of(worker) == host)

    def container(self, service: str) -> str:
        return self.compose("ps", "--quiet", service).strip()


class Load:
    """Jobs of one act, numbered over the whole trial."""

    last = 0

    def __init__(self, count: int, seconds: float, base: str = URL) -> None:
        self.ids: dict[str, int] = {}
        for number in range(Load.last, Load.last + count):
            body = {"algorithm": "Seen", "params": {"number": number, "seconds": seconds}}
            answer = wait_until(lambda body=body: ask("/jobs", body, base=base), "a job is accepted")
            self.ids[answer["job_id"]] = number
        Load.last += count

    def jobs(self) -> list[dict[str, Any]]:
        return [wait_until(lambda id=id: ask(f"/jobs/{id}"), "a job is read") for id in self.ids]

    def states(self) -> Counter[str]:
        return Counter(job["status"] for job in self.jobs())

    def under_way(self, sight: Sight) -> None:
        """Every slot has a body: a worker that was just frozen or killed claims before it can begin one."""
        wait_until(lambda: sight.now == CAP, "the slots are all taken, by bodies")
        assert wait_until(lambda: ask("/jobs/concurrency/status"), "the status")["running_jobs"] <= CAP

    def again(self, sight: Sight) -> int:
        """Jobs whose body began more than once."""
        return sum(sight.seen[number] > 1 for number in self.ids.values())

    def done(self, within: float = 240) -> list[dict[str, Any]]:
        wait_until(lambda: self.states()["completed"] == len(self.ids), "all jobs are completed", within)
        return self.jobs()


@contextmanager
def act(name: str, sight: Sight) -> Iterator[None]:
    say(name)
    sight.most = 0
    yield
    assert sight.most <= CAP, f"{sight.most} bodies at once, and the cap is {CAP}"
    proof = wait_until(lambda: ask("/jobs/concurrency/proof"), "the proof")
    assert proof["violations"] == [], proof
    wait_until(lambda: ask("/jobs/concurrency/status")["running_jobs"] == 0, "all slots are free")
    say(f"        at most {sight.most} bodies at once, cap {CAP}; nothing lost")


def sampled(query: str) -> float:
    """What Prometheus answers."""
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": query})
    result = wait_until(
        lambda: (ask(path, base="http://127.0.0.1:9090") or {"data": {"result": []}})["data"]["result"], "a sample"
    )
    return float(result[0]["value"][1])


class Receiver(http.server.BaseHTTPRequestHandler):
    """What webhooks are told to: it keeps what is signed."""

    verified: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.verified.append(Webhook(SECRET).verify(body, dict(self.headers)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def told(container: str) -> None:
    """A job's end is told to a receiver outside the containers, signed."""
    networks = json.loads(run("docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", container))
    (network,) = networks.values()
    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://{network['Gateway']}:{server.server_port}/"
        body = {"algorithm": "PrimeChecker", "params": {"number": 97}, "webhook": url}
        job_id = ask("/jobs", body)["job_id"]
        wait_until(lambda: Receiver.verified, "the webhook is told")
        server.shutdown()
    assert Receiver.verified[0]["type"] == "job.completed", Receiver.verified
    assert Receiver.verified[0]["data"]["job_id"] == job_id


def locked(front: str) -> None:
    """With a first API key, who has none is refused; Prometheus and the health checks go on without."""
    key = run("docker", "exec", front, "slotwise", "keys", "create", "trial", "--scope", "admin").strip()
    assert key.startswith("slw_"), key
    wait_until(lambda: refused("/jobs") == 401, "who has no key is refused")
    assert refused("/metrics") is refused("/readyz") is None
    HEADERS["Authorization"] = f"Bearer {key}"


def refused(path: str) -> int | None:
    """The status with which it is."""
    try:
        urllib.request.urlopen(URL + path, timeout=15).close()
    except urllib.error.HTTPError as error:
        return error.code
    return None


def pid_of(container: str) -> int:
    return int(run("docker", "inspect", "--format", "{{.State.Pid}}", container))


def killed(container: str) -> None:
    """As by the kernel: the restart policy brings it back, which it does not after `docker kill`."""
    before = run("docker", "inspect", "--format", "{{.RestartCount}}", container)
    os.kill(pid_of(container), 9)
    wait_until(
        lambda: run("docker", "inspect", "--format", "{{.RestartCount}}", container) != before,
        "it is started again",
    )


def host_of(container: str) -> str:
    return run("docker", "inspect", "--format", "{{.Config.Hostname}}", container).strip()


def builds() -> None:
    began = time.monotonic()
    version = run(sys.executable, "-m", "setuptools_scm").strip().split("+")[0]
    run("docker", "build", "--network", "none", "--build-arg", f"VERSION={version}", "--tag", "slotwise", ".")
    say(f"docker build: {time.monotonic() - began:.1f} s")
    with tempfile.TemporaryDirectory() as context:
        Path(context, "trial.py").write_bytes((ROOT / "tests/containers/trial.py").read_bytes())
        Path(context, "Dockerfile").write_text(DOCKERFILE)
        began = time.monotonic()
        run("docker", "build", "--network", "none", "--tag", "trial:1", context)
        say(f"docker build of FROM slotwise, COPY: {time.monotonic() - began:.1f} s")
        Path(context, "Dockerfile").write_text("FROM trial:1\nLABEL release=2\n")
        run("docker", "build", "--network", "none", "--tag", "trial:2", context)
    told = run("docker", "run", "--rm", "--network", "none", "--read-only", "trial:1", "slotwise", "--version")
    assert told.strip() == f"slotwise {version}", told
    size = int(run("docker", "image", "inspect", "--format", "{{.Size}}", "slotwise"))
    base = int(run("docker", "image", "inspect", "--format", "{{.Size}}", "python:3.11-slim"))
    say(f"the image is {(size - base) >> 20} MB on top of its base")


def shut(stage: Stage, worker: str) -> None:
    """What a container may not."""
    inside = "import os, shutil; print(os.getuid(), shutil.which('sh'), os.access('/opt/slotwise', os.W_OK))"
    assert run("docker", "exec", worker, "python", "-c", inside).strip() == "10001 None False"
    status = run("docker", "exec", worker, "python", "-c", "print(open('/proc/self/status').read())")
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status, status
    assert run("docker", "exec", worker, "python", "-c", "open('/data/x', 'w')", check=False) != "0"
    server = stage.container("valkey")
    status = run("docker", "exec", server, "cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status, status
    assert "NOAUTH" in run("docker", "exec", "--env", "REDISCLI_AUTH=", server, "valkey-cli", "ping")
    assert "127.0.0.1:8000" in run("docker", "port", stage.container("front-end"))


def checks(stage: Stage) -> None:
    """`arq --check` of a container whose worker stands still says so, and that of its neighbour does not."""
    still, other = stage.workers()[:2]
    check = ("arq", "--check", "worker.settings.WorkerSettings")
    # 1 is the container's init, and the worker the first that it started
    first = "min({int(each[6:]) for each in glob.glob('/proc/[0-9]*')} - {1})"
    signal = f"import glob, os, sys; os.kill({first}, int(sys.argv[1]))"
    run("docker", "exec", still, "python", "-c", signal, "19")
    wait_until(lambda: run("docker", "exec", still, *check, check=False) == "1", "the check of the one fails")
    assert run("docker", "exec", other, *check, check=False) == "0"
    run("docker", "exec", still, "python", "-c", signal, "18")
    wait_until(lambda: run("docker", "exec", still, *check, check=False) == "0", "it works again")


@contextmanager
def played(stage: Stage) -> Iterator[Stage]:
    """Ends the project, and says what stood there if it failed."""
    try:
        yield stage
    except BaseException:
        print(stage.compose("ps", "--all"), stage.compose("logs", "--tail", "8"), file=sys.stderr)
        raise
    finally:
        HEADERS.pop("Authorization", None)
        stage.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        plays(Path(directory))
    say("containers: all held")


def plays(directory: Path) -> None:
    directory.chmod(0o755)
    builds()
    stage = Stage(directory)
    sight = Sight(stage.sight)
    try:
        with played(stage):
            acts(stage, sight)
        with played(Stage(directory, "deploy/compose.redis.yaml")) as other:
            other.up(workers=1)
            with act("Redis in place of Valkey", sight):
                Load(3, 0.1).done()
                assert "redis-server" in run("docker", "exec", other.container("valkey"), "cat", "/proc/1/cmdline")
        with played(Stage(directory, "deploy/sentinel/compose.yaml")) as other:
            other.up(workers=2)
            with act("Sentinel: the primary's container is gone, and comes back", sight):
                fails_over(other, sight)
    finally:
        sight.close()


def fails_over(stage: Stage, sight: Sight) -> None:
    load = Load(20, 2)
    load.under_way(sight)
    began = time.monotonic()
    run("docker", "kill", stage.container("valkey"))
    wait_until(lambda: role(stage, "valkey-2") != role(stage, "valkey-3"), "a replica leads")
    say(f"        a replica leads after {time.monotonic() - began:.1f} s")
    load.done()
    stage.compose("start", "valkey")
    wait_until(lambda: role(stage, "valkey") == "slave", "the old primary follows")
    Load(3, 0.1).done()


def role(stage: Stage, server: str) -> str:
    return run("docker", "exec", stage.container(server), "valkey-cli", "role").splitlines()[0]


def acts(stage: Stage, sight: Sight) -> None:
    began = time.monotonic()
    stage.up()
    say(f"up --wait: {time.monotonic() - began:.1f} s")
    with act("what it may not, and one job", sight):
        shut(stage, stage.workers()[0])
        Load(1, 0.1).done()
    with act("arq --check speaks for its container", sight):
        checks(stage)
    with act("workers 3 to 6 to 1 to 3, with work", sight):
        load = Load(60, 1)
        load.under_way(sight)
        for workers in (6, 1, 3):
            stage.up(workers=workers)
        assert {job["attempt"] for job in load.done()} == {1}, "a drain burns no attempt"
        say(f"        ran again: {load.again(sight)}")
    with act("a container is frozen beyond its lease", sight):
        load = Load(20, 4)
        load.under_way(sight)
        worker = stage.busiest()
        sight.frozen.add(host_of(worker))
        run("docker", "pause", worker)
        load.done()
        assert load.again(sight) >= 1, "what it had ran elsewhere"
        run("docker", "unpause", worker)
        time.sleep(1)
        sight.frozen.clear()
    with act("a worker's, the server's and the front end's first process are killed", sight):
        load = Load(20, 4)
        load.under_way(sight)
        for container in (stage.busiest(), stage.container("valkey"), stage.container("front-end")):
            killed(container)
        load.done()
        assert load.again(sight) >= 1, "what it had ran again"
        stage.up()
    with act("a worker's network is cut beyond its lease", sight):
        load = Load(20, 4)
        load.under_way(sight)
        cut = stage.busiest()
        run("docker", "network", "disconnect", "slotwise_default", cut)
        load.done()
        assert load.again(sight) >= 1, "what it had ran elsewhere"
        run("docker", "network", "connect", "slotwise_default", cut)
        wait_until(lambda: len(ask("/workers")["workers"]) == 3, "it is back")
    with act("a new image, with work", sight):
        load = Load(60, 1)
        load.under_way(sight)
        stage.release = "2"
        stage.up()
        releases = Counter(job["result"]["release"] for job in load.done())
        assert Load(1, 0).done()[0]["result"]["release"] == "2"
        assert {job["attempt"] for job in load.jobs()} == {1}
        say(f"        by release: {dict(releases)}")
    with act("two front ends behind a proxy, one of which goes and comes", sight):
        stage.compose("--profile", "proxy", "up", "--detach", "--wait", "--no-build")
        first = Load(20, 0.1, base=PROXY)
        stage.compose("stop", "front-end")
        second = Load(20, 0.1, base=PROXY)
        stage.compose("start", "front-end")
        wait_until(lambda: ask("/readyz"), "the first is back")
        assert first.done() and second.done()
    with act("a signed webhook, and API keys", sight):
        told(stage.container("front-end"))
        locked(stage.container("front-end"))
        Load(1, 0.1).done()
    with act("Prometheus sees it", sight):
        # and not Grafana, which nothing here could stand in for
        stage.compose("--profile", "monitoring", "up", "--detach", "--wait", "--no-build", "prometheus")
        assert sampled("jobs_max_concurrent") == CAP
        scaler = (ROOT / "deploy/kubernetes/scaler.yaml").read_text()
        (query,) = re.findall(r"query: (.*)\n", scaler)
        assert sampled(query) == 0, "nothing runs or waits"
    proof = run("docker", "exec", stage.workers()[0], "slotwise", "prove")
    say(proof.splitlines()[0])


BEGAN = time.monotonic()
if __name__ == "__main__":
    main()
