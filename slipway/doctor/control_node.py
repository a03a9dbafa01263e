"""What only the control node has: tools, folders of its user's, name servers, names of hosts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from slipway.control_node import tools
from slipway.control_node.hosts_file import resolved
from slipway.doctor.findings import Result, fail, ok, unless, warn
from slipway.nodes import containers
from slipway.preflight import address_of, in_pool


def programs(names: Sequence[str]) -> Iterable[Result]:
    """Whether the tools are there, or can be installed by this user."""
    lacking = tools.missing(names)
    if not lacking:
        return [ok("all tools")]
    if problem := tools.refusal(lacking):
        return [fail(f"lacks {', '.join(lacking)}", problem.fix)]
    return [ok(f"a run installs {', '.join(lacking)}")]


def folders(paths: Collection[Path], user: int) -> Iterable[Result]:
    """Whether what a run writes is its user's, and not root's of a run with sudo."""
    troubles = []
    for path in paths:
        for each in (path, *(sorted(path.iterdir()) if _listed(path) else ())):
            if each.exists() and not os.access(each, os.W_OK):
                what = f"{each} belongs to user {each.stat().st_uid}, and this one may not write it"
                troubles.append(fail(what, f'sudo chown -R "$(id -un)" {path}'))
                break
        owner = _nearest(path).stat().st_uid
        # A checkout is often a user's, and what a run makes in it is no loss.
        if user == 0 and owner != 0 and path.is_relative_to(Path.home()):
            what = f"{path} belongs to user {owner}, who could not change what root makes there"
            troubles.append(warn(what, "run without sudo, or with 'sudo -H make up' at all times"))
    return unless("what a run writes is its user's", troubles)


def _listed(path: Path) -> bool:
    return path.is_dir() and os.access(path, os.R_OK | os.X_OK)


def _nearest(path: Path) -> Path:
    """The folder that is there, and that a path is or will be in."""
    return next(each for each in (path, *path.parents) if each.exists())


def name_servers(given: str) -> Iterable[Result]:
    """Whether container nodes can ask those of this machine, as they change; see resolv_conf."""
    path = containers.resolv_conf(given)
    if path is None:
        what = "none that a container can ask, so nodes have those that Docker knew at their start"
        fix = "put one that is no loopback address into /etc/resolv.conf, or name a file with some"
        return [warn(what, f"{fix} by node_containers_resolv_conf")]
    servers = containers.nameservers(path.read_text(encoding="utf-8", errors="replace"))
    return [ok(f"{', '.join(servers) or 'none now'}; nodes follow {path}")]


def hosts(names: Collection[str], pool: Sequence[str]) -> Iterable[Result]:
    """Whether this machine knows the hosts of apps.yml, as addresses of the pool."""
    known = resolved(names)
    troubles = []
    lost = sorted(name for name in names if not known[name])
    if lost:
        what = f"{', '.join(lost)} unknown to this machine"
        troubles.append(warn(what, "as root, once the cluster is there: make hosts"))
    for name in sorted({*names} - {*lost}):
        if not any(in_pool(pool, address_of(each)) for each in known[name]):
            what = f"{name} is {', '.join(sorted(known[name]))}, which is not in metallb_pool"
            troubles.append(warn(what, "take it out of /etc/hosts, then as root: make hosts"))
    return unless(f"{', '.join(sorted(names)) or 'none'} known", troubles)
