"""All checks of the control node and of the nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from slipway import preflight
from slipway.apps.manifests.routes import hosts
from slipway.apps.plan.bounds import NO_BOUNDS, Bounds
from slipway.apps.plan.plan import plan
from slipway.apps.plan.routes import DOMAIN
from slipway.architecture import Architecture
from slipway.bundle.choice import AnyProvider, Choice
from slipway.bundle.provider import bundle_path
from slipway.control_node import tools
from slipway.control_node.inventories import written_twice
from slipway.control_node.localhost import Ports, is_here
from slipway.doctor import (
    certificates,
    control_node,
    disk,
    engine,
    etcd,
    network,
    nodes,
    registries,
    resources,
    system,
)
from slipway.doctor.findings import Check, Finding, Result, all_of, ok, warn
from slipway.doctor.machine import Cluster, Machine, Use
from slipway.errors import Problem, SlipwayError
from slipway.nodes.containers import NoRight
from slipway.waiting import allowed

CONTROL_NODE = "localhost"

CHECKS = (*system.CHECKS, *resources.CHECKS, *disk.CHECKS, *network.CHECKS, *etcd.CHECKS)
"""What is asked of the facts of every machine."""

Look = Callable[[Mapping[str, str]], Mapping[str, Any]]
"""Reads the facts of this machine, of the file systems at places that are given by name."""

Bundles = Callable[[Iterable[Architecture]], Mapping[Architecture, Choice]]
"""Where the bundle for each architecture comes from; SlipwayError when it cannot be had."""


@dataclass(frozen=True)
class Wanted:
    """What a run is to make, and of what.

    ``inventories`` are the files or folders that say which nodes there are, ``variables`` are
    folders with what is the same for all. ``nodes`` are what the module machine_look returned for
    each; none where they are containers. ``bundles`` tells where bundles come from, ``kept`` are
    the paths that a run writes to, and ``tools`` are what builds need. ``resolv_conf`` is the file
    with the name servers of container nodes, if one is named, ``ports`` are those of this machine
    that lead to them, ``registries`` what nodes pull from, ``people`` who else may use the cluster.
    With ``names``, the names of hosts are asked for as well, which the proof at the end of a run
    does itself.
    """

    cluster: str
    inventory: preflight.Inventory
    workers: Sequence[str]
    apps_file: Path
    secrets: Mapping[str, str]
    kubeconfig: Path
    version: str
    cache: Path
    bundles: Bundles
    kept: Sequence[Path]
    tools: Sequence[str]
    inventories: Sequence[Path] = ()
    variables: Sequence[Path] = ()
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    domain: str = DOMAIN
    bounds: Bounds = NO_BOUNDS
    ports: Ports = field(default_factory=dict)
    registries: Mapping[str, Any] = field(default_factory=dict)
    people: Mapping[str, Any] = field(default_factory=dict)
    routed: bool = True
    resolv_conf: str = ""
    names: bool = True

    @property
    def containers(self) -> bool:
        """Whether the nodes are containers of this machine."""
        return bool(self.inventory.segment)


def examined(wanted: Wanted, look: Look) -> list[Finding]:
    """What the checks find, those of this machine first."""
    return [
        *all_of(CONTROL_NODE, _of_what_is_written(wanted)),
        *_of_machines(wanted, look),
        *all_of(CONTROL_NODE, _of_names(wanted) if wanted.names else {}),
    ]


def _of_what_is_written(wanted: Wanted) -> dict[str, Check]:
    """The checks of what users wrote, and of the cluster that they wrote it for."""
    inventory = wanted.inventory

    def inventory_is_sound() -> Iterable[Result]:
        members = (inventory.nodes, inventory.control_plane, wanted.workers)
        twice = written_twice(wanted.inventories, wanted.variables)
        _raise([*twice, *preflight.groups(*members), *preflight.addresses(inventory)])
        yield ok(", ".join(inventory.nodes))

    def cluster_is_this_one() -> Iterable[Result]:
        _raise(preflight.running_cluster(wanted.kubeconfig, inventory, wanted.version))
        yield ok("the inventory's, or none that answers")

    def certificates_last() -> Iterable[Result]:
        return certificates.of_cluster(wanted.kubeconfig)

    def registries_are_sound() -> Iterable[Result]:
        _raise(preflight.nodes_registries(wanted.registries, wanted.secrets))
        yield ok(", ".join(wanted.registries) or "as images name them")

    def people_are_sound() -> Iterable[Result]:
        _raise(preflight.people_of(wanted.people))
        yield ok(", ".join(wanted.people) or "the operator alone")

    def file_is_sound() -> Iterable[Result]:
        _raise(preflight.apps_file(wanted.apps_file, wanted.secrets, wanted.domain, wanted.bounds))
        yield ok(str(wanted.apps_file))

    def ports_are_free() -> Iterable[Result]:
        _raise(preflight.ports(wanted.cluster, wanted.ports, inventory.segment))
        yield ok(", ".join(str(port) for port in wanted.ports.values()) or "none wanted")

    return {
        "inventory": inventory_is_sound,
        "cluster": cluster_is_this_one,
        "certificates": certificates_last,
        "published ports": ports_are_free,
        "registries of nodes": registries_are_sound,
        "people": people_are_sound,
        "apps file": file_is_sound,
    }


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise SlipwayError(problems)


def _of_names(wanted: Wanted) -> dict[str, Check]:
    """The check of the names that this machine has to know."""

    def hosts_are_known() -> Iterable[Result]:
        try:
            apps = plan(wanted.apps_file, domain=wanted.domain)
        except SlipwayError:
            return []  # said of the file
        names = [host for host in hosts(apps) if not is_here(host, wanted.ports)]
        return control_node.hosts(names, wanted.inventory.pool)

    return {"hosts": hosts_are_known}


def _of_machines(wanted: Wanted, look: Look) -> list[Finding]:
    """The checks of this machine, with its engine and what it fetches, and of all nodes."""
    asked: list[engine.Engine] = []
    lacking: list[AnyProvider] = []
    findings = all_of(
        CONTROL_NODE,
        {
            "bundle": lambda: _bundle(wanted.bundles(_architectures(wanted)), lacking),
            "engine": lambda: _engine(wanted, asked),
        },
    )
    root = asked[0].root if asked else engine.ROOT
    seen = look({"cache": str(wanted.cache), "engine": root})
    use = Use.HOST if wanted.containers else Use.CONTROL_NODE
    own = Machine(CONTROL_NODE, use, seen["facts"], seen["unknown"])
    others = [nodes.machine(name, each, wanted.inventory) for name, each in wanted.nodes.items()]
    # Of an engine that does not run, nobody knows what it has.
    made = asked[0].has(wanted.inventory.nodes) if asked else wanted.kubeconfig.exists()
    cluster = Cluster(
        name=wanted.cluster,
        inventory=wanted.inventory,
        bundles_to_make=len(lacking),  # where nobody knows, that is said already
        made=made,
        routed=wanted.routed,
    )
    checks = {
        **_of_facts(own, cluster),
        **_of_user(wanted, lacking),
        "host keys": lambda: nodes.host_keys(wanted.nodes.values()),
        "identities": lambda: nodes.identities(wanted.nodes),
    }
    if asked:
        checks |= engine.checks(asked[0], cluster)
    findings += all_of(CONTROL_NODE, checks)
    for machine in others:
        of_node = nodes.checks(wanted.nodes[machine.name])
        findings += all_of(machine.name, {**of_node, **_of_facts(machine, cluster)})
    return findings


def _architectures(wanted: Wanted) -> list[Architecture]:
    """That of this machine, and those of nodes with another processor."""
    own = Architecture.here()
    systems = (each.get("facts", {}).get("system", {}) for each in wanted.nodes.values())
    found = {system.get("processor") for system in systems}
    return [own, *(each for each in Architecture if each.machine in found - {own.machine})]


def _bundle(choices: Mapping[Architecture, Choice], lacking: list[AnyProvider]) -> Iterable[Result]:
    """Whether the bundle for each architecture is there; those that are not are noted."""
    for architecture, choice in choices.items():
        of_others = "" if architecture is Architecture.here() else f"{architecture}: "
        there = bundle_path(choice.provider, choice.provider.cache).is_dir()
        lacking += [] if there else [choice.provider]
        yield ok(of_others + ("is there" if there else f"a run has it {choice.why}"))


def _engine(wanted: Wanted, asked: list[engine.Engine]) -> Iterable[Result]:
    """Whether it answers, and so is noted, or can be made to."""
    elsewhere = engine.remote(os.environ.get("DOCKER_HOST", ""))
    if wanted.containers and elsewhere:
        return elsewhere
    if tools.missing(["docker"]):
        return []  # said of the tools
    try:
        asked.append(engine.read(wanted.cluster))
    except NoRight as error:
        if wanted.containers:
            raise
        (problem,) = error.problems
        return [warn(f"{problem.what}, without which Dockerfiles are not built", problem.fix)]
    except SlipwayError as error:
        if os.geteuid() != 0 or "timed out" in str(error):
            raise
        return [ok("does not run; a run starts it")]
    return [ok("answers")]


def _of_facts(machine: Machine, cluster: Cluster) -> dict[str, Check]:
    """The checks of a machine; none of one that was not looked at."""
    return {
        check.__name__.replace("_", " "): partial(check, machine, cluster)
        for check in CHECKS
        if machine.facts
    }


def _of_user(wanted: Wanted, lacking: Sequence[AnyProvider]) -> dict[str, Check]:
    """The checks of what this user has, may write, and fetches for the bundles to be made."""
    needed = [*dict.fromkeys([*wanted.tools, *(name for each in lacking for name in each.tools)])]

    def sources_answer() -> Iterable[Result]:
        if not lacking:
            return []
        install = bool(tools.missing(needed)) and not tools.refusal(needed)
        found = {
            asked.name: asked
            for each in lacking
            for asked in registries.sources(each, Path.home(), install=install)
        }
        return registries.answers([*found.values()], allowed(registries.SECONDS))

    found: dict[str, Check] = {
        "tools": partial(control_node.programs, needed),
        "folders": partial(control_node.folders, wanted.kept, os.geteuid()),
        "sources": sources_answer,
    }
    if wanted.containers:
        found["name servers"] = partial(control_node.name_servers, wanted.resolv_conf)
    return found
