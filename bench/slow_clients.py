"""How long a client waits at the ingress while another one holds on to two thousand connections.

Half of these have sent half a head, a quarter half a body, and a quarter do not read their answer.
The client makes a connection for each request, from another address. It asks the nginx of Slipway's
ingress controller, and one that is configured as Debian does it, each with as many workers as there
are processors and with the limit of open files that a container has at first. Behind both is the
same service, an nginx that answers at once.

What is not answered within two seconds counts as that long.
"""

from __future__ import annotations

import http.client
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nginx_ingress.decisions import Location, Server, Upstream
from nginx_ingress.model import Key, Service, Snapshot
from nginx_ingress.nginx import Nginx
from nginx_ingress.render import Settings, render_server

from bench.figures import Figure, Report, Target, Unit
from ingress.tests.support.live import MUCH, NGINX, ask, free_ports
from ingress.tests.support.slow import OTHER, Kind, held, may_open, slow_clients

COUNTS = {Kind.HEAD: 1_000, Kind.BODY: 500, Kind.UNREAD: 500}
CONNECTIONS = sum(COUNTS.values())
REQUESTS = 1_000
PATIENCE_SECONDS = 2.0
GIVEN_UP = 20
"""After how many requests without an answer, one after another, the rest are not tried."""
SOFT_LIMIT = 1024
HOST = "slow.example.com"
APP = Key("default", "app")

QUICK = Target(most=50)
"""Milliseconds within which ninety-nine of a hundred requests are to be answered."""

STOCK_CONNECTIONS = 768
STOCK = """\
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
events {{ worker_connections {connections}; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    access_log off;
    server {{
        listen {port};
        {location}
    }}
}}
"""
SERVICE = "location / {{ return 200 app; }} location /much {{ root {folder}; }}"
PROXY = "location / {{ proxy_pass http://127.0.0.1:{port}; }}"


@dataclass(frozen=True)
class Waits:
    """How long each request took, how many had no answer, and how many slow connections stood."""

    seconds: Sequence[float]
    unanswered: int
    slow: int = 0

    @property
    def p99(self) -> float:
        """Milliseconds that ninety-nine of a hundred took at most."""
        return sorted(self.seconds)[len(self.seconds) * 99 // 100] * 1000


def measure(*, keep: bool) -> Report:
    """Ask both, with slow clients and without; there are no nodes to keep."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    may_open(2 * CONNECTIONS + SOFT_LIMIT)
    try:
        with tempfile.TemporaryDirectory() as top, ExitStack() as running:
            folder = Path(top)
            app, stock, ours = free_ports(3)
            (folder / "app").mkdir()
            (folder / "app" / "much").write_bytes(MUCH)
            location = SERVICE.format(folder=folder / "app")
            running.enter_context(_plain(folder / "app", app, location, 2 * CONNECTIONS))
            may_open(SOFT_LIMIT)
            proxy = PROXY.format(port=app)
            running.enter_context(_plain(folder / "stock", stock, proxy, STOCK_CONNECTIONS))
            running.enter_context(_ours(folder, ours, app))
            may_open(CONNECTIONS + SOFT_LIMIT)
            alone, (with_slow, stock_with_slow) = _waits(ours), map(_beside, (ours, stock))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    what = f"p99 beside {CONNECTIONS:,} slow connections"
    instead, unit = "nginx as Debian configures it", Unit.MILLISECONDS
    return Report(
        [
            Figure("p99 with nobody else", alone.p99, unit),
            Figure(what, with_slow.p99, unit, target=QUICK),
            Figure(what, with_slow.p99, unit, instead, stock_with_slow.p99),
        ],
        [
            f"Not answered, of {REQUESTS:,} requests: {with_slow.unanswered:,}, and instead "
            f"{stock_with_slow.unanswered:,}.",
            f"Slow connections that were not turned away: {with_slow.slow:,}, and instead "
            f"{stock_with_slow.slow:,}.",
        ],
    )


def _beside(port: int) -> Waits:
    """How long requests take beside slow connections."""
    with ExitStack() as opened:
        slow = 0
        for kind, count in COUNTS.items():
            slow += held(opened.enter_context(slow_clients(port, kind, count, HOST, "/much")))
        return replace(_waits(port), slow=slow)


def _waits(port: int) -> Waits:
    seconds: list[float] = []
    unanswered = in_a_row = 0
    for number in range(REQUESTS):
        begin = time.monotonic()
        if _answered(port):
            seconds.append(time.monotonic() - begin)
            in_a_row = 0
            continue
        unanswered, in_a_row = unanswered + 1, in_a_row + 1
        if in_a_row == GIVEN_UP:
            unanswered += REQUESTS - number - 1
            break
    return Waits([*seconds, *([PATIENCE_SECONDS] * unanswered)], unanswered)


def _answered(port: int) -> bool:
    source = (OTHER, 0)
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=PATIENCE_SECONDS, source_address=source
    )
    try:
        return ask(connection, "/", HOST).status == 200
    except (OSError, http.client.HTTPException):
        return False


@contextmanager
def _plain(folder: Path, port: int, location: str, connections: int) -> Iterator[None]:
    """An nginx as Debian configures it, with so many connections in each worker."""
    folder.mkdir(exist_ok=True)
    config = folder / "nginx.conf"
    text = STOCK.format(folder=folder, port=port, location=location, connections=connections)
    config.write_text(text)
    log = str(folder / "log")
    command = ["nginx", "-g", "user root;", "-e", log, "-p", str(folder), "-c", str(config)]
    process = subprocess.Popen(command)
    try:
        while not _answered(port):
            assert process.poll() is None, Path(log).read_text()
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _ours(folder: Path, port: int, app: int) -> Iterator[None]:
    """The nginx of the ingress controller, with one host."""
    program = folder / "nginx"
    program.write_text(NGINX)
    program.chmod(0o700)
    (unused,) = free_ports(1)
    workers = os.cpu_count() or 1
    settings = Settings(folder / "run", port, unused, workers, access_log="off")
    location = Location("/", False, APP, Upstream("app", APP, 80))
    text = render_server(
        Server(HOST, APP, (location,)),
        Snapshot(services={APP: Service(APP, {80: "http"})}),
        {(APP, "http"): (f"127.0.0.1:{app}",)},
        settings,
    )
    nginx = Nginx(str(program), settings)
    try:
        nginx.apply(text)
        yield
    finally:
        nginx.quit(5.0)
