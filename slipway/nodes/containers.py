"""Machines as containers: the nodes of the embedded cluster, on this machine's Docker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.resource import Model
from docker.types import IPAMConfig, IPAMPool, Mount

from slipway.control_node import localhost
from slipway.errors import Problem, SlipwayError
from slipway.on_node.node_look import reachable
from slipway.run import last_lines
from slipway.waiting import allowed, wait_until

CLUSTER_LABEL = "internal.slipway.cluster"
"""Label on every container, volume and network of a cluster; its value is the cluster's name."""

CAP_SYS_RESOURCE = 24
"""Bit of the capability in /proc/self/status (linux/capability.h)."""

CLOCK_SKEW = timedelta(minutes=1)
"""How far the API server takes a token whose time has not come (its library's leeway)."""

BOOT_SECONDS = 60.0
"""How long systemd may take to have booted a node."""

NAME_SERVERS = "/run/host/name-servers"
"""Where a node has the folder of this machine's ``resolv.conf``.

It is the folder, as most programs that change the file put another in its place.
"""


@dataclass(frozen=True)
class Node:
    """One node to have: the container's name and its address in the cluster's network.

    ``ports`` are those of this machine that lead to the node, by the node's own port.
    """

    name: str
    address: str
    ports: Mapping[int, int] = field(default_factory=dict)


ANSWER_SECONDS = 600
"""How long the engine may take for what it is asked, such as to import an image."""


class NoRight(SlipwayError):
    """Raised when there is an engine that this user must not use."""


def connect(timeout: int = ANSWER_SECONDS) -> docker.DockerClient:
    """A client of this machine's engine; SlipwayError says what is missing if there is none."""
    try:
        return docker.from_env(timeout=timeout)
    except DockerException as error:
        text = str(error)
        if "PermissionError" in text:
            fix = "add yourself to the group 'docker' and log in anew, or run as root"
            raise NoRight(Problem("Docker", "no right to use its socket", fix)) from error
        fix = "start it ('systemctl start docker'); as root, 'make up' installs and starts one"
        raise SlipwayError(Problem("Docker", f"no engine answers: {text}", fix)) from error


def ensure_network(client: docker.DockerClient, cluster: str, subnet: str) -> bool:
    """Have the cluster's network; return whether it had to be made.

    Raises SlipwayError when there is one with another subnet, or when the subnet is taken.
    """
    try:
        network = client.networks.get(cluster)
    except NotFound:
        pools = [IPAMPool(subnet=subnet)]
        try:
            client.networks.create(
                cluster,
                driver="bridge",
                ipam=IPAMConfig(pool_configs=pools),
                labels={CLUSTER_LABEL: cluster},
            )
        except APIError as error:
            fix = "set node_containers_subnet in the inventory to a range that nothing else uses"
            raise SlipwayError(Problem(f"network {subnet}", error.explanation, fix)) from error
        return True
    if problem := other_subnet(network, subnet):
        raise SlipwayError(problem)
    return False


def subnets(network: Network) -> list[str]:
    """The ranges of a network of the engine."""
    return [config["Subnet"] for config in network.attrs["IPAM"]["Config"] or ()]


def other_subnet(network: Network, subnet: str) -> Problem | None:
    """What is wrong with the cluster's network that is there, if something is."""
    found = subnets(network)
    if found == [subnet]:
        return None
    fix = "run 'make down' first, or set node_containers_subnet back"
    return Problem(f"network {network.name}", f"has {found}, not {subnet}", fix)


def ensure_nodes(
    client: docker.DockerClient,
    cluster: str,
    nodes: Sequence[Node],
    image: Callable[[], str],
    *,
    say: Callable[[str], None],
    resolv_conf: Path | None = None,
) -> list[str]:
    """Have every node running and booted; return the names of those made or started.

    ``image`` is asked for the image's name when a node has to be made. ``resolv_conf`` is that of
    this machine whose name servers a new node asks, if it can. A node that lost its network, or
    its address there, is put back and started anew; so is one that was started while the clock was
    ahead, as what it has signed and noted is not valid yet. Raises SlipwayError with the last lines
    of a node's log when it does not boot, and when the container of a node's name is not of this
    cluster or has other ports.
    """
    there = {each.name: each for each in client.containers.list(all=True)}
    unfit = [
        problem
        for node in nodes
        if node.name in there
        for problem in _unfit(there[node.name], cluster, node)
    ]
    if unfit:
        raise SlipwayError(unfit)
    network = client.networks.get(cluster)
    new = [node for node in nodes if node.name not in there]
    known = [node for node in nodes if node.name in there]
    wrong = [
        node
        for node in known
        if _is_astray(there[node.name], network, node) or _is_ahead(there[node.name])
    ]
    down = [n for n in known if n in wrong or there[n.name].status != "running"]
    name = image() if new else ""
    touched = [node.name for node in (*new, *down)]
    if touched:
        say(f"starting {', '.join(touched)}")
    with ThreadPoolExecutor() as pool:  # an image's files are copied to each node's volume
        list(pool.map(lambda node: _create(client, cluster, node, name, resolv_conf), new))
        list(pool.map(lambda node: _halt(there[node.name], network, node), wrong))
        list(pool.map(lambda node: _start(client.containers.get(node)), touched))
        list(pool.map(lambda node: _wait_until_booted(client.containers.get(node.name)), nodes))
    return touched


def strangers(
    labels: Mapping[str, Mapping[str, str]], cluster: str, nodes: Sequence[Node]
) -> list[Problem]:
    """The containers, of which ``labels`` are by name, with a node's name that are others'."""
    return [
        Problem(
            f"container {node.name}",
            f"is not of {cluster}",
            "remove or rename it, or give the node another name in the inventory",
        )
        for node in nodes
        if node.name in labels and labels[node.name].get(CLUSTER_LABEL) != cluster
    ]


def missing_nodes(client: docker.DockerClient, nodes: Sequence[Node]) -> list[str]:
    """The names of the nodes that are not there or not running."""
    running = {container.name for container in client.containers.list()}
    return [node.name for node in nodes if node.name not in running]


def published(cluster: str) -> set[int]:
    """This machine's ports that lead to nodes of the cluster; none where no engine answers."""
    try:
        running = connect().containers.list(filters=_labelled(cluster))
    except SlipwayError:
        return set()
    return {port for container in running for port in _ports(container)}


def of_cluster(client: docker.DockerClient, cluster: str) -> list[Model]:
    """The cluster's containers, volumes and networks, known by label, in order of removal."""
    mine = _labelled(cluster)
    return [
        *client.containers.list(all=True, filters=mine),
        *client.volumes.list(filters=mine),
        *client.networks.list(filters=mine),
    ]


def _labelled(cluster: str) -> dict[str, str]:
    """The filter by which the engine finds what is the cluster's."""
    return {"label": f"{CLUSTER_LABEL}={cluster}"}


def remove(found: Sequence[Model]) -> None:
    """Remove containers with all that is in them, volumes and networks."""
    for each in found:
        if isinstance(each, Container):
            each.remove(v=True, force=True)
        else:
            each.remove()


def _unfit(container: Container, cluster: str, node: Node) -> Iterator[Problem]:
    """Why a container of a node's name is not to be taken for the node."""
    if foreign := strangers({node.name: container.labels}, cluster, [node]):
        yield from foreign
        return
    found, wanted = _ports(container), sorted(node.ports.values())
    if found != wanted:
        what = f"was made with the published ports {found or 'none'}, not {wanted or 'none'}"
        fix = "run 'make down' first, or set slipway_published_ports back"
        yield Problem(f"container {node.name}", what, fix)


def _ports(container: Container) -> list[int]:
    """This machine's ports that a container was made with."""
    bindings = container.attrs["HostConfig"].get("PortBindings") or {}
    return sorted(int(each["HostPort"]) for ports in bindings.values() for each in ports)


def _is_astray(container: Container, network: Network, node: Node) -> bool:
    """Whether a node is not in the network, or at any address there.

    One that was made with another address is what the inventory had, and no matter of the network.
    """
    networks: dict[str, dict[str, Any]] = container.attrs["NetworkSettings"]["Networks"]
    endpoint = networks.get(network.name, {})
    given = (endpoint.get("IPAMConfig") or {}).get("IPv4Address")
    # A network that was removed and made anew has the name of the one before.
    return not given or (given == node.address and endpoint["NetworkID"] != network.id)


def _is_ahead(container: Container) -> bool:
    """Whether a node was started at a time that is still to come: the clock was set back since."""
    started = datetime.fromisoformat(container.attrs["State"]["StartedAt"])
    return started > datetime.now(UTC) + CLOCK_SKEW


def _halt(container: Container, network: Network, node: Node) -> None:
    """Stop a node, and have it in the network at its address."""
    container.stop()
    container.reload()
    if _is_astray(container, network, node):
        endpoint = container.attrs["NetworkSettings"]["Networks"].get(network.name, {})
        if endpoint.get("NetworkID") == network.id:
            network.disconnect(container)
        network.connect(container, ipv4_address=node.address)


def _start(container: Container) -> None:
    """Start a node; SlipwayError says why the engine will not."""
    try:
        container.start()
    except APIError as error:
        fix = "run again when that is mended; other ports are set by slipway_published_ports"
        raise SlipwayError(
            Problem(f"container {container.name}", str(error.explanation), fix)
        ) from error


def _create(
    client: docker.DockerClient, cluster: str, node: Node, image: str, resolv_conf: Path | None
) -> None:
    """Create a node's container: as near to a machine as this machine can give."""
    labels = {CLUSTER_LABEL: cluster}
    mounts = [
        # containerd's overlay cannot lie on the engine's own, but on a volume it can.
        Mount("/var", f"{node.name}-var", type="volume", labels=labels),
    ]
    if Path("/lib/modules").exists():  # a kernel with everything built in has none
        mounts.append(Mount("/lib/modules", "/lib/modules", type="bind", read_only=True))
    environment = {}
    if resolv_conf:
        folder = str(resolv_conf.parent)
        mounts.append(Mount(NAME_SERVERS, folder, type="bind", read_only=True))
        environment["SLIPWAY_RESOLV_CONF"] = f"{NAME_SERVERS}/{resolv_conf.name}"
    status = Path("/proc/self/status").read_text(encoding="ascii")
    host = client.api.create_host_config(
        cap_add=["ALL"],
        cap_drop=[] if has_capability(status, CAP_SYS_RESOURCE) else ["SYS_RESOURCE"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        devices=["/dev/kmsg:/dev/kmsg:rwm"],
        device_cgroup_rules=["a *:* rwm"],
        tmpfs={"/run": "", "/tmp": ""},
        cgroupns="private",
        restart_policy={"Name": "unless-stopped"},
        mounts=mounts,
        port_bindings={port: (localhost.ADDRESS, own) for port, own in node.ports.items()},
    )
    # All of /proc and /sys as a machine has them; the client has no name for these two.
    host.update(MaskedPaths=[], ReadonlyPaths=[])
    endpoint = client.api.create_endpoint_config(ipv4_address=node.address)
    client.api.create_container(
        image,
        name=node.name,
        hostname=node.name,
        labels=labels,
        tty=True,  # without a console, systemd says nowhere why it ends
        environment=environment,
        ports=[*node.ports],
        host_config=host,
        networking_config=client.api.create_networking_config({cluster: endpoint}),
    )


def has_capability(status: str, bit: int) -> bool:
    """Whether a process may have the capability at all, as its ``/proc/<pid>/status`` says."""
    (bounding,) = (line.split()[1] for line in status.splitlines() if line.startswith("CapBnd"))
    return bool(int(bounding, 16) >> bit & 1)


def resolv_conf(given: str = "", root: Path = Path("/")) -> Path | None:
    """The file that always has this machine's name servers; None if nodes can ask none of them.

    Where systemd-resolved or NetworkManager stands between, it is the one that these keep for
    others than this machine. SlipwayError says that one that was ``given`` is not there.
    """
    if given:
        if not Path(given).exists():
            fix = "name a file that is there, or none, and it is found out"
            raise SlipwayError(Problem("node_containers_resolv_conf", f"{given} is not there", fix))
        return Path(given).resolve()
    places = (
        "run/systemd/resolve/resolv.conf",
        "etc/resolv.conf",
        "run/NetworkManager/no-stub-resolv.conf",
    )
    for path in (root / place for place in places):
        if path.exists() and not _is_of_use_here_alone(path.read_text(errors="replace")):
            return path.resolve()
    return None


def nameservers(text: str) -> list[str]:
    """The name servers of a ``resolv.conf`` that other machines can ask."""
    return [*filter(reachable, _named(text))]


def _is_of_use_here_alone(text: str) -> bool:
    """Whether a ``resolv.conf`` has servers, and none that another machine could ask.

    Without any, this machine is out of reach at the time, and will have some later.
    """
    return bool(_named(text)) and not nameservers(text)


def _named(text: str) -> list[str]:
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]


def _wait_until_booted(container: Container) -> None:
    """Wait until systemd has started everything; ``degraded`` would mean that it could not."""
    state = ""

    def has_settled() -> bool:
        nonlocal state
        state = _said(container, "systemctl", "is-system-running")
        return state in ("running", "degraded")

    wait_until(has_settled, allowed(BOOT_SECONDS))
    if state == "running":
        return
    if state == "degraded":
        why = _said(container, "systemctl", "--failed", "--no-legend")
    else:
        why = container.logs().decode(errors="replace").strip() or "its init said nothing"
    raise SlipwayError(
        Problem(container.name, f"did not boot (systemd: {state})\n{last_lines(why)}")
    )


def _said(container: Container, *argv: str) -> str:
    """What a command in the container says, or why it cannot run there."""
    try:
        _code, output = container.exec_run(list(argv))
    except APIError as error:  # a container that died is being started again
        return str(error.explanation)
    text: str = output.decode(errors="replace")
    return text.strip()
