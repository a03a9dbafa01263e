"""``python3 -m nginx_ingress``: the controller's process."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from nginx_ingress.applied import Applied
from nginx_ingress.controller import Controller
from nginx_ingress.health import health_server
from nginx_ingress.kube import HttpApi
from nginx_ingress.model import Key
from nginx_ingress.nginx import Nginx
from nginx_ingress.render import OPEN_FILES, Settings

log = logging.getLogger(__name__)


class OneLine(logging.Formatter):
    """Each record on one line, tracebacks too; times in UTC."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", " | ")


def _key(text: str) -> Key:
    namespace, separator, name = text.partition("/")
    if not (namespace and separator and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form namespace/name")
    return Key(namespace, name)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="nginx_ingress", description=__doc__)
    add = parser.add_argument
    add("--class", dest="class_name", default="nginx", help="IngressClass that is served")
    add(
        "--external-service",
        type=_key,
        help="namespace/name of the Service whose addresses are written into Ingresses",
    )
    add("--run-dir", type=Path, default=Path("/var/run/nginx-ingress"), help="where to write")
    add("--http-port", type=int, default=8080, help="port that nginx listens on")
    add("--https-port", type=int, default=8443, help="port that nginx listens on with TLS")
    add("--health-port", type=int, default=8081, help="port of /livez and /readyz")
    add(
        "--worker-processes",
        type=int,
        default=os.cpu_count() or 1,
        help="how many of nginx's workers there are; as many as processors unless given",
    )
    add("--no-access-log", action="store_true", help="do not log requests")
    add(
        "--grace-seconds",
        type=float,
        default=25.0,
        help="time for requests under way after SIGTERM; less than the pod's own",
    )
    add("--nginx", default="/usr/sbin/nginx", help="the nginx program")
    add("--kubeconfig", help="how to reach the API server from outside a pod")
    return parser.parse_args(argv)


def open_files() -> int:
    """How many files a worker of nginx may have open, which raises its own limit to that."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < OPEN_FILES:
        log.warning("no more than %d open files, so %d connections a worker", most, most // 2)
    return min(most, OPEN_FILES)


def main(argv: Sequence[str]) -> int:
    """Run the controller; the process's exit code."""
    args = arguments(argv)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    settings = Settings(
        run_dir=args.run_dir,
        http_port=args.http_port,
        https_port=args.https_port,
        worker_processes=args.worker_processes,
        open_files=open_files(),
        **({"access_log": "off"} if args.no_access_log else {}),
    )
    nginx = Nginx(args.nginx, settings)
    controller = Controller(
        HttpApi(args.kubeconfig),
        nginx,
        Applied(nginx, settings),
        args.class_name,
        args.external_service,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: controller.stop())
    checks = {"/livez": controller.livez, "/readyz": controller.readyz}
    health = health_server(args.health_port, checks)
    threading.Thread(target=health.serve_forever, daemon=True).start()
    return controller.run(args.grace_seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
