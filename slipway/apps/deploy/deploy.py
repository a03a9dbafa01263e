"""Make the cluster hold what the apps say: write what differs, wait, remove the rest.

One run reads all of Slipway's objects by a list call for each kind, and one for each further kind
that the apps' manifests and charts have, and decides from them alone. An object
is written only if it is missing, was rendered differently the last time, or was changed by hand;
so a run with nothing to do writes nothing, and one app's change touches no other app.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import yaml

from slipway.apps.app import App, Built
from slipway.apps.boundary import Boundary, tried
from slipway.apps.deploy.chosen import branch_of
from slipway.apps.deploy.content import Content, complete
from slipway.apps.deploy.decide import Decision, Withdrawal, decide, namespaces_of
from slipway.apps.deploy.dry_run import Intent, intents
from slipway.apps.deploy.extras import adopt, missing
from slipway.apps.deploy.helm import Helm
from slipway.apps.deploy.jobs import finish
from slipway.apps.deploy.needs import needed, waves
from slipway.apps.deploy.rollout import Rollouts
from slipway.apps.deploy.state import read_state
from slipway.apps.deploy.tls import pairs
from slipway.apps.environments import status as notes
from slipway.apps.environments.addresses import addresses
from slipway.apps.environments.found import refusal
from slipway.apps.environments.resolve import Leaving
from slipway.apps.environments.rows import notes_in
from slipway.apps.manifests.config import configurations
from slipway.apps.manifests.environment import NO_QUOTA, acting_in
from slipway.apps.manifests.extras import extra_key, in_stages, owner_of_extra
from slipway.apps.manifests.jobs import has_failed, is_first, is_job
from slipway.apps.manifests.labels import (
    APP,
    COMMIT,
    ENVIRONMENTS,
    NAME,
    OWN_SELECTOR,
    ROUTES_NAMESPACE,
    is_app,
    is_extra,
    is_own,
    is_process,
    owner_of,
)
from slipway.apps.manifests.network import Network
from slipway.apps.manifests.pod import identity
from slipway.apps.manifests.routes import hosts, tls_of
from slipway.apps.manifests.volumes import awaited, filled, is_claim, volume_of
from slipway.apps.manifests.volumes import refusal as claim_refusal
from slipway.apps.volumes.helper import Helper, Volume
from slipway.certificates import Authority, Pair
from slipway.control_node.localhost import NO_PORTS, Ports
from slipway.errors import Problem, SlipwayError
from slipway.kube.apply import Applier, as_written, is_running
from slipway.kube.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    REPLICA_SETS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICES,
    ApiError,
    Kube,
    Object,
    Resource,
)
from slipway.kube.namespaces import remaining, titles, usable
from slipway.kube.objects import Change, Key, digest, grouped, key_of
from slipway.kube.workloads import rolled_out, template_of
from slipway.secrets import MASK, Secrets
from slipway.text import listed
from slipway.waiting import allowed, wait_until

T = TypeVar("T")

UNPROCESSABLE = 422
"""The HTTP status with which the API refuses a change of what cannot be changed."""

FORBIDDEN = 403
"""The HTTP status with which the API refuses what one may not do."""

VIOLATES = "would violate PodSecurity"
"""What the API warns of whose pods it will refuse."""

STEP = "deploy"
"""What a failure of this step is noted under."""

WORKERS = 8
"""Apps that are applied at the same time."""

KIND_SECONDS = 30.0
"""How long a kind that was just defined, or its webhook, may take to be there."""

TERMINATION_SECONDS = 120.0
"""How long a namespace that is being deleted may take before its new app gives up."""


@dataclass(frozen=True)
class Outcome:
    """The apps with their failures, and what was written."""

    apps: list[App]
    changes: list[Change]
    changed: bool
    intents: list[Intent]
    """What is done to each app, by what was found before."""


def deploy(
    kube: Kube,
    apps: Iterable[App],
    ingress_class: str,
    *,
    secrets: Mapping[str, str],
    ca_dir: Path,
    seconds: float,
    say: Callable[[str], None],
    leaving: Collection[Leaving] = (),
    helm: Helm | None = None,
    ports: Ports = NO_PORTS,
    quota: Mapping[str, str] = NO_QUOTA,
    network: Network | None = None,
    helper: Helper | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Write what differs, wait for the roll-outs for ``seconds`` at most, remove what left.

    An app that cannot be deployed gets ``failed``, with the reason; the others go
    on, and what served before still serves. ``say`` shows a line of progress.

    ``secrets`` has the values that apps name. ``ca_dir`` is where the authority is kept that
    certifies hosts, made when a host needs it; a certificate that will not do raises SlipwayError
    before anything is written.

    The environments that are ``leaving`` stay as they are, and their namespaces are marked.
    ``helm`` renders the charts of the apps that have some. ``ports`` of this machine that lead to
    the ingress controller are noted with the addresses of apps. ``quota`` is how much each app may
    have in its environment. By the ``network`` of the cluster, environments are apart. The
    ``helper`` fills new volumes with the data of others; without one, apps fail that are to begin
    with some.

    With ``dry_run`` the API checks each object, and nothing is stored or waited for. Objects of a
    namespace that does not exist yet cannot be checked there, nor can apps without an image.
    """
    apps = [copy(app) for app in apps]
    if helm and any(app.helm for app in apps):
        helm = replace(helm, kube_version=kube.version())

    def content(app: App) -> Content:
        found = tried(complete, app, secrets, helm)
        return Content(app, [], [found]) if isinstance(found, str) else found

    with ThreadPoolExecutor(WORKERS) as pool:
        contents = list(pool.map(content, apps))
    run = _Run(
        kube,
        apps,
        contents,
        ingress_class,
        leaving,
        say,
        Secrets(secrets),
        ports,
        seconds,
        helper,
        dry_run=dry_run,
    )
    authority = run.authority(ca_dir)
    return run.deploy(run.certificates(secrets, authority), authority, quota, network)


def render_change(change: Change) -> dict[str, str]:
    """A change as Ansible's diff shows it."""
    title = " ".join(part for part in key_of(change.after or change.before or {}) if part)
    return {
        "before_header": title,
        "after_header": title,
        "before": _as_yaml(change.before),
        "after": _as_yaml(change.after, change.before),
    }


class _Run:
    """One deployment in the making."""

    def __init__(
        self,
        kube: Kube,
        apps: Iterable[App],
        contents: Sequence[Content],
        ingress_class: str,
        leaving: Collection[Leaving],
        say: Callable[[str], None],
        secrets: Secrets,
        ports: Ports,
        seconds: float,
        helper: Helper | None,
        *,
        dry_run: bool,
    ) -> None:
        self.kube = kube
        self.ingress_class = ingress_class
        self.ports = ports
        self.secrets = secrets
        self.redact = secrets.redact
        self.leaving = leaving
        self.say = say
        self.seconds = seconds
        self.helper = helper
        self.dry_run = dry_run
        self.boundary: Boundary[App] = Boundary(
            lambda app, reason: self._fail(self.apps[app.id], reason), kube.require_answer
        )
        self.apps = {app.id: app for app in apps}
        self.filled = {each.app.id: each.app for each in contents}
        """By id, the apps with the text of their settings filled in."""
        self.extras, self.operators = self._adopt(contents)
        wanted = [obj for objects in self.extras.values() for obj in objects]
        self.extras_in = grouped(wanted, lambda obj: obj["metadata"].get("namespace"))
        self.state = read_state(kube, wanted)
        self._refuse_namespaces()
        self.changes: list[Change] = []
        self.retried = False
        """Whether pods of an earlier run were replaced to have their next try at once."""

    def _adopt(self, contents: Sequence[Content]) -> tuple[dict[str, list[Object]], set[Key]]:
        """The apps' extras as they are to be applied; apps with wrong ones fail.

        With them come the keys of those that the operator applies.
        """
        found = {each.app.id: each.extras for each in contents}
        apps, kube = self.apps.values(), self.kube
        result = adopt(apps, found, kube.find, self.ingress_class, kube.require_answer)
        for each in contents:
            if faults := [*each.faults, *result.faults.get(each.app.id, ())]:
                self._fail(self.apps[each.app.id], "\n".join(faults))
        return result.extras, result.operators

    def _refuse_namespaces(self) -> None:
        """Have the apps fail whose namespace somebody else made: what is in it is not theirs."""
        for app in self.apps.values():
            if reason := refusal(
                app.namespace, self.state.namespaces.get(app.namespace), app.pod_security
            ):
                self._fail(app, reason)

    def _fail(self, app: App, reason: str) -> None:
        app.fail(STEP, self.redact(reason))

    def _filled(self) -> Iterator[App]:
        """The apps with their text filled in, and with what failed since."""
        for app_id, app in self.filled.items():
            app.failed = self.apps[app_id].failed
            yield app

    def authority(self, ca_dir: Path) -> Callable[[], Authority]:
        """What gives the authority that certifies, kept when it is first asked for."""

        @cache
        def authority() -> Authority:
            if self.dry_run:
                return Authority.load(ca_dir) or Authority.make()
            return Authority.keep(ca_dir)

        return authority

    def certificates(
        self, secrets: Mapping[str, str], authority: Callable[[], Authority]
    ) -> dict[str, Pair]:
        """The certificate of each host that has one."""
        return pairs(tls_of(self.apps.values()), secrets, authority, self.state.objects)

    def deploy(
        self,
        certificates: Mapping[str, Pair],
        authority: Callable[[], Authority],
        quota: Mapping[str, str],
        network: Network | None,
    ) -> Outcome:
        """Decide, and carry it out."""
        decision = decide(
            self._filled(),
            self.state,
            self.ingress_class,
            certificates,
            self.leaving,
            self.secrets,
            self.extras,
            self.boundary,
            quota,
            network,
            authority,
        )
        self.redact = Secrets({**self.secrets, **decision.own_secrets}).redact
        self._tell(decision)
        for obj in decision.marks:
            self._aside(partial(self._mark, obj))
        self.boundary.run(self.apps.values(), self._apply, decision.rights)
        in_space = _by_need(self.apps.values(), namespaces_of)

        def make(name: str) -> None:
            users = in_space.get(name, ())
            self.boundary.run(users, self._make_environment, decision.environments[name])

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(make, decision.environments))
        for withdrawal in decision.withdrawals:
            self._aside(partial(self._withdraw, withdrawal))
        on_host = _by_need(self.apps.values(), hosts)
        for host, objects in decision.hosts.items():
            self.boundary.run(on_host[host], self._apply, objects)
        for app_id, objects in decision.unscaled.items():
            for obj in () if self.apps[app_id].failed else objects:
                self.boundary.run([self.apps[app_id]], self._delete, obj)
        writing = {*decision.apply, *decision.extras}
        for wave in waves(self.apps.values()):
            if wave := [app for app in wave if app.id in writing]:
                self._wait_for_needs(wave, decision)
                with ThreadPoolExecutor(WORKERS) as pool:
                    list(pool.map(partial(self._apply_app, decision), wave))
        if not self.dry_run:
            self._wait(decision)
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(partial(self._run_first, decision), decision.apply))
        self._remove_extras(decision)
        for app_id, objects in decision.outdated.items():
            for obj in () if self.apps[app_id].failed else reversed(objects):
                self.boundary.run([self.apps[app_id]], self._delete, obj)
        for obj in reversed(decision.delete):
            self._aside(partial(self._delete, obj))
        if not self.dry_run:
            for app_id in decision.undecided:
                self._fail(self.apps[app_id], "it has no image: the build did not run")
            for app_id, configs in decision.old_configs.items():
                if not self.apps[app_id].failed:
                    self._aside(partial(self._forget, configs, self.apps[app_id]))
        removed = grouped(
            (each.before for each in self.changes if each.before and not each.after),
            lambda obj: obj["metadata"].get("namespace"),
        )
        for name in decision.spare_namespaces:
            self._aside(partial(self._delete_namespace, name, removed.get(name, ())))
        changed = bool(self.changes) or self.retried or (self.dry_run and bool(decision.undecided))
        if not self.dry_run:
            self._aside(self._note)
        apps = list(self.apps.values())
        return Outcome(apps, self.changes, changed, intents(apps, decision, self.state.objects))

    def _tell(self, decision: Decision) -> None:
        """Say what is not as apps.yml has it, and why; note it in the apps."""
        for app_id, obj in decision.held.items():
            app = self.apps[app_id]
            app.held = commit = obj["metadata"]["annotations"][COMMIT]
            self.say(
                f"{app.label}: held at commit {commit[:7]}: it was rolled back; "
                "a new commit or other settings end that"
            )
        for left in self.leaving:
            until = f"until {left.until}" if left.until else "as it is marked to be kept"
            self.say(f"{left.label}: the branch is gone; it serves on {until}")
        self._tell_of_data(decision)
        if decision.foreign:
            foreign = [" ".join(filter(None, key_of(obj))) for obj in decision.foreign]
            self.say(
                f"left as they are, for they wear Slipway's labels but others made them: "
                f"{listed(foreign)}"
            )
        for line in self.state.unread:
            self.say(f"what apps had of a kind is not removed, as it cannot be listed: {line}")

    def _tell_of_data(self, decision: Decision) -> None:
        """Say which volumes stay that nothing has any more, and what removes them."""
        for app_id, claims in decision.outlived.items():
            for claim in claims:
                self.say(
                    f"{self.apps[app_id].label}: volume {volume_of(claim)} is not in apps.yml any "
                    f"more, and stays while the app does; {_with_its_data(claim)}"
                )
        going = {owner_of(obj) for obj in decision.delete}
        for claim in decision.kept:
            if owner_of(claim) in going:
                self.say(
                    f"{owner_of(claim)}: volume {volume_of(claim)} is kept; {_with_its_data(claim)}"
                )

    def _mark(self, obj: Object) -> None:
        """Write or clear the mark of a namespace whose branch is gone, or came back."""
        before = self.state.namespaces[obj["metadata"]["name"]]
        self.changes.append(Change(before, self.kube.apply(obj, dry_run=self.dry_run)))

    def _withdraw(self, withdrawal: Withdrawal) -> None:
        """Take from an Ingress the paths that apps.yml gives to another app by now."""
        before, left = withdrawal.before, withdrawal.left
        if left is None:
            self._delete(before)
            return
        _kind, place, name = key_of(before)
        self.say(f"Ingress {place}/{name} gives up paths that apps.yml gives to others")
        self.changes.append(Change(before, self.kube.apply(left, dry_run=self.dry_run)))

    def _note(self) -> None:
        """Note for the list of environments what failed and what is on its way out."""
        if not (self.apps or self.leaving):
            return
        live = self.state.objects.get((CONFIG_MAPS.kind, ROUTES_NAMESPACE, ENVIRONMENTS))
        before, now = notes_in(live), datetime.now(UTC)
        apps = self.apps.values()
        at = addresses(self.kube, apps)
        after = notes.of_deployment(before, apps, self.leaving, self.redact, now, self.ports, at)
        notes.write(self.kube, live, after)

    def _aside(self, action: Callable[[], T]) -> T | None:
        """Do something that no app needs; that it could not be done is told and no more."""
        aside: Boundary[None] = Boundary(
            lambda _nobody, reason: self.say(f"left undone: {reason}"), self.kube.require_answer
        )
        return aside.run([None], action)

    def _wait_for_needs(self, apps: Iterable[App], decision: Decision) -> None:
        """Wait until what apps need is rolled out; those fail that need what does not run."""
        needs = {app.id: needed(app, self.apps.values()) for app in apps}
        of_all = {each.id: each for found in needs.values() for each in found}
        if of_all and not self.dry_run:
            self._roll_out(of_all.values(), decision)
        for app in apps:
            if down := [each.label for each in needs[app.id] if self._is_down(each)]:
                self._fail(app, f"it needs {', '.join(down)}, which does not run")

    def _is_down(self, app: App) -> bool:
        """Whether an app failed, and nothing of it serves that was there before."""
        live = self.state.objects.get((DEPLOYMENTS.kind, app.namespace, app.name))
        return bool(app.failed) and not (live and rolled_out(live))

    def _apply_app(self, decision: Decision, app: App) -> None:
        """Apply what differs of an app, if all is there that it refers to."""
        if not app.failed:
            self.boundary.run([app], self._apply_all, decision, app.id)

    def _apply_all(self, decision: Decision, app_id: str) -> None:
        app = self.filled[app_id]
        space = app.namespace

        def get(resource: Resource, name: str) -> Object | None:
            return self.kube.get(resource, name, space) if self._is_usable(space) else None

        if lacking := missing(app, self.extras_in.get(space, ()), get):
            raise ApiError(f"namespace {space}", 404, "\n".join(lacking))
        extras = decision.extras.get(app_id, [])
        self._preview(extras)
        before, after = in_stages(extras)
        own = [obj for obj in decision.apply.get(app_id, []) if not is_first(obj)]
        if any(map(is_job, own)) and not self.dry_run:
            # What they need may be among what the app brings, as a database.
            self._apply(before)
            self._wait_for(self.extras[app_id], before, time.monotonic() + self.seconds)
            before = []
        self._apply([*before, *own, *after])

    def _preview(self, extras: Iterable[Object]) -> None:
        """Have the API look at all that an app brings before anything of the app is written.

        Raises SlipwayError with all that it would refuse, pods that it would not let be made too.
        """
        wrong: list[Problem] = []
        for obj in extras:
            if self.dry_run and not self._is_usable(obj["metadata"].get("namespace")):
                continue
            told: list[str] = []
            try:
                self._kube_for(obj).apply(obj, dry_run=True, warned=told.append)
            except ApiError as error:
                if error.status == FORBIDDEN:
                    wrong += error.problems
            what = [text for text in told if VIOLATES in text]
            title = f"{obj['kind']} {obj['metadata']['name']}"
            fix = "give its pods a securityContext that fits, or have apps.yml say pod_security"
            wrong += [Problem(title, text, fix) for text in what]
        if wrong:
            raise SlipwayError(wrong)

    def _apply(self, objects: Sequence[Object]) -> None:
        """Apply objects in their order, if none of them is somebody else's."""
        for obj in objects:
            before = self.state.find(obj)
            if before is not None:
                self._refuse_others(obj, before)
            elif is_extra(obj) or self._is_usable(obj["metadata"].get("namespace")):
                # In a namespace that was made just now there is what Slipway made there.
                self._refuse_foreign(obj)
        for obj in objects:
            self._apply_one(obj)

    def _run_first(self, decision: Decision, app_id: str) -> None:
        """Run the jobs that run once, as soon as their app serves."""
        app = self.apps[app_id]
        objects = [obj for obj in decision.apply[app_id] if is_first(obj)]
        if objects and not app.failed:
            self.boundary.run([app], self._apply, objects)

    def _run(self, obj: Object) -> None:
        """Run a job of an app's to its end; SlipwayError with the reason when that is a bad one."""
        before, app = self.state.find(obj), self.apps[owner_of(obj)]
        began = time.monotonic()
        name = obj["metadata"]["labels"][NAME].removeprefix(f"{app.name}-")
        if before is not None and not self.dry_run and has_failed(before):
            after = self._made_anew(obj)
        else:
            after = self._applied(obj, before)
        self.changes.append(Change(before, after or obj))
        if self.dry_run:
            return
        self.say(f"{app.label}: job {name} runs")
        finish(self.kube, obj, app.jobs[name].timeout, self._note_of(app))
        self.say(f"{app.label}: job {name} done after {time.monotonic() - began:.0f} s")

    def _note_of(self, app: App) -> str:
        """What there is to say of the version before, when a new one fails before it serves."""
        key = (DEPLOYMENTS.kind, app.namespace, app.name)
        return "what was deployed before still serves" if key in self.state.objects else ""

    def _apply_one(self, obj: Object) -> None:
        """Apply an object, and run a job of an app's to its end."""
        if is_job(obj):
            self._run(obj)
            return
        before = self.state.find(obj)
        after = self._applied(obj, before)
        if before is None or after is None or as_written(before) != as_written(after):
            self.changes.append(Change(before, after or obj))
        if awaited(obj) and not self.dry_run:
            self._fill(obj)

    def _fill(self, claim: Object) -> None:
        """Give a new volume the data of another branch, and note that it has it."""
        app = self.filled[owner_of(claim)]
        volume, branch = volume_of(claim), awaited(claim)
        source = self._volume(app, branch, volume)
        if source:
            if self.helper is None:
                what = (
                    f"is to have the data of {app.name} ({branch}), and nothing is here to copy it"
                )
                raise SlipwayError(Problem(f"volume {volume}", what))
            self.say(f"{app.label}: volume {volume} gets the data of {app.name} ({branch})")
            pod = {"securityContext": identity(app), "nodeSelector": app.node_selector}
            self.helper.copy(source, Volume.of(claim, pod))
        else:
            has_none = f"{app.name} ({branch}) has none of that name"
            self.say(f"{app.label}: volume {volume} begins empty: {has_none}")
        self._applied(filled(claim), claim)

    def _volume(self, app: App, branch: str, name: str) -> Volume | None:
        """The volume of another branch of an app; None where there is none.

        Raises SlipwayError when that is yet to get its data.
        """
        objects = self.state.objects.values()
        deployments = {owner_of(obj): obj for obj in objects if _is_of(obj, app.name, branch)}
        for claim in filter(is_claim, objects):
            deployment = deployments.get(owner_of(claim))
            if deployment is None or volume_of(claim) != name:
                continue
            if awaited(claim):
                what = f"that of {app.name} ({branch}) is yet to get its own data"
                raise SlipwayError(Problem(f"volume {name}", what, "run again once it has"))
            return Volume.of(claim, template_of(deployment)["spec"])
        return None

    def _applied(self, obj: Object, before: Object | None) -> Object | None:
        """An object as it is once it was applied; None in a dry run that cannot tell.

        A Job, which runs once and cannot be changed, is made anew.
        """
        sendable = not self.dry_run or self._is_usable(obj["metadata"].get("namespace"))
        try:
            after = self._applier(obj).apply_one(obj, dry_run=self.dry_run) if sendable else None
        except ApiError as error:
            if is_claim(obj) and error.status in (FORBIDDEN, UNPROCESSABLE):
                what = error.problems[0].what
                raise claim_refusal(obj, what, is_new=before is None) from error
            if before is None or error.status != UNPROCESSABLE:
                raise
            if obj["kind"] != "Job":
                where, what = error.problems[0].where, error.problems[0].what
                fix = "what cannot be changed needs another name, or to be deleted by hand first"
                raise ApiError(where, error.status, f"{what}; {fix}") from error
            after = self._made_anew(obj)
        return after

    def _applier(self, obj: Object) -> Applier:
        """Who applies an object: what a branch brings, nobody who could do more than it may."""
        return Applier(self._kube_for(obj), allowed(KIND_SECONDS))

    def _kube_for(self, obj: Object) -> Kube:
        if not is_extra(obj) or extra_key(obj) in self.operators:
            return self.kube
        return acting_in(self.kube, owner_of_extra(obj).partition("/")[0])

    def _is_usable(self, namespace: str | None) -> bool:
        """Whether there is a namespace already; what is in none always has its place."""
        return namespace is None or usable(self.state.namespaces.get(namespace))

    def _made_anew(self, obj: Object) -> Object | None:
        """Delete an object and apply it; None in a dry run."""
        if self.dry_run:
            return None
        resource = self.kube.find(obj["apiVersion"], obj["kind"])
        name, space = obj["metadata"]["name"], obj["metadata"].get("namespace")
        if resource and self.kube.delete(resource, name, space):
            seconds = allowed(KIND_SECONDS)
            wait_until(lambda: not self.kube.get(resource, name, space), seconds, 0.2)
        return self._applier(obj).apply_one(obj, dry_run=False)

    def _remove_extras(self, decision: Decision) -> None:
        """Remove the extras that left, except of an app whose older version may need them."""
        for app_id, leftovers in decision.leftovers.items():
            if self.apps[app_id].failed:
                continue
            for obj in reversed(leftovers):
                self.boundary.run([self.apps[app_id]], self._delete, obj)
            if app_id in decision.settled and not self.dry_run:
                self._aside(partial(self._settle, decision.settled[app_id]))
        for obj in reversed(decision.orphans):
            self._aside(partial(self._delete, obj))

    def _settle(self, deployment: Object) -> None:
        """Have a Deployment note no more kinds of extras than there are."""
        self.kube.apply(deployment)

    def _refuse_others(self, obj: Object, before: Object) -> None:
        """Raise SlipwayError when what an app brings is there already, brought by another app.

        In a namespace that apps share, the volume b-c of a and c of a-b have the same claim.
        """
        has_owner = APP in before["metadata"].get("labels", {})
        if is_claim(obj) and has_owner and owner_of(before) != owner_of(obj):
            what = f"there is one already, with data of {owner_of(before)}: its {volume_of(before)}"
            fix = f"give it another name; or {_with_its_data(before)}"
            raise SlipwayError(Problem(f"volume {volume_of(obj)}", what, fix))
        if not is_extra(obj):
            return
        owner = owner_of_extra(before)
        if owner in self.apps and owner != owner_of_extra(obj):
            kind, place, name = key_of(obj)
            what = f"it is one of {owner}'s manifests: give it another name"
            raise ApiError(f"{kind} {place}/{name}", 409, what)

    def _refuse_foreign(self, obj: Object) -> None:
        """Raise ApiError when somebody else's object has the name that this one is to have.

        That is Slipway's own, too, where an app brings the object.
        """
        kind, place, name = key_of(obj)
        resource = self.kube.find(obj["apiVersion"], kind)
        found = self.kube.get(resource, name, place) if resource else None
        own = found and (is_extra(found) or (is_own(found) and not is_extra(obj)))
        if found and not own:
            what = "it exists and was not made by Slipway: rename the app, or remove what is there"
            if is_own(found):
                what = "it exists and is Slipway's own: give it another name"
            raise ApiError(f"{kind} {place}/{name}", 409, what)

    def _make_environment(self, objects: Sequence[Object]) -> None:
        """Make a namespace, and what is in it beside its apps, as it is to be."""
        for obj in objects:
            if obj["kind"] == NAMESPACES.kind:
                self._make_namespace(obj)
            else:
                self._apply_one(obj)
        if self.dry_run:
            return
        for obj in objects:
            if obj["kind"] == ROLE_BINDINGS.kind:
                self._wait_until_bound(obj["metadata"]["namespace"])
            elif obj["kind"] == RESOURCE_QUOTAS.kind:
                self._wait_until_counted(obj["metadata"])

    def _wait_until_counted(self, quota: Object) -> None:
        """Wait until Kubernetes counts for a quota: before that, it refuses what is counted."""

        def is_counted() -> bool:
            found = self.kube.get(RESOURCE_QUOTAS, quota["name"], quota["namespace"])
            return "hard" in (found or {}).get("status", {})

        seconds = allowed(KIND_SECONDS)
        if not wait_until(is_counted, seconds, 0.1):
            what = f"after {seconds:.0f} s, nobody counts for its quota"
            raise ApiError(f"namespace {quota['namespace']}", 403, what)

    def _wait_until_bound(self, namespace: str) -> None:
        """Wait until the API has taken note of what an environment's identity may do."""
        own, seconds = acting_in(self.kube, namespace), allowed(KIND_SECONDS)
        if not wait_until(lambda: own.may("patch", CONFIG_MAPS, namespace), seconds, 0.1):
            what = f"after {seconds:.0f} s, its identity still may not write there"
            raise ApiError(f"namespace {namespace}", 403, what)

    def _make_namespace(self, obj: Object) -> None:
        """Create a namespace, if need be after the one that is being deleted has gone."""
        name = obj["metadata"]["name"]
        before = self.state.namespaces.get(name)
        if before and not usable(before) and not self.dry_run:
            self.say(f"namespace {name} is still being deleted: waiting until it has gone")
            self._wait_until_gone(name)
        after = self.kube.apply(obj, dry_run=self.dry_run)
        self.changes.append(Change(before if usable(before) else None, after))

    def _wait_until_gone(self, name: str) -> None:
        """Wait for the end of a namespace; raises ApiError when it takes too long."""
        seconds = allowed(TERMINATION_SECONDS)
        if not wait_until(lambda: not self.kube.get(NAMESPACES, name), seconds, 1.0):
            what = f"its deletion takes longer than {seconds:.0f} s"
            raise ApiError(f"namespace {name}", 409, what)

    def _wait(self, decision: Decision) -> None:
        """Wait for what was applied, and for what an earlier run left unfinished."""
        until = time.monotonic() + self.seconds
        self._roll_out(self.apps.values(), decision)
        self._wait_for_extras(decision, until)

    def _roll_out(self, apps: Iterable[App], decision: Decision) -> None:
        """Wait until the Deployments of apps are rolled out."""
        unfinished = grouped(
            (
                obj
                for key, obj in self.state.objects.items()
                if key[0] == DEPLOYMENTS.kind
                and (is_app(obj) or is_process(obj))
                and not rolled_out(obj)
            ),
            owner_of,
        )
        rolling = unfinished.keys() | {
            app_id
            for app_id, objects in decision.apply.items()
            if any(obj["kind"] == DEPLOYMENTS.kind for obj in objects)
        }
        waiting = {
            app.id: app
            for app in apps
            if app.id in rolling and not app.failed and isinstance(app, Built)
        }
        rollouts = Rollouts(self.kube, waiting, self.say)
        stuck = [
            obj
            for app_id, objects in unfinished.items()
            if app_id in waiting and app_id not in decision.apply
            for obj in objects
        ]
        self.retried |= bool(self._aside(partial(rollouts.retry, stuck)))
        for app_id, reason in rollouts.wait(self.seconds).items():
            self._fail(self.apps[app_id], reason)

    def _wait_for_extras(self, decision: Decision, until: float) -> None:
        """Wait for the workloads that apps brought along, and for addresses of their Services."""
        for app_id, objects in self.extras.items():
            if not self.apps[app_id].failed:
                written = decision.extras.get(app_id, [])
                own = self._without_address(self.apps[app_id], decision)
                self.boundary.run(
                    [self.apps[app_id]], self._wait_for, [*objects, *own], [*written, *own], until
                )

    def _without_address(self, app: App, decision: Decision) -> list[Object]:
        """The Service of an app, if it has yet to get the address that it wants."""
        applied = [obj for obj in decision.apply.get(app.id, ()) if obj["kind"] == SERVICES.kind]
        there = self.state.objects.get((SERVICES.kind, app.namespace, app.name))
        services = applied or ([there] if there else [])
        return [obj for obj in services if not is_running(obj)]

    def _wait_for(
        self, extras: Iterable[Object], written: Collection[Object], until: float
    ) -> None:
        starting = [
            obj
            for obj in extras
            if obj in written or not is_running(self.state.extras.get(extra_key(obj)))
        ]
        if starting:
            Applier(self.kube, max(0.0, until - time.monotonic())).wait(starting)

    def _delete(self, obj: Object) -> None:
        kind, place, name = key_of(obj)
        doing = "would remove" if self.dry_run else "removing"
        self.say(f"{doing} {kind} {f'{place}/{name}' if place else name}")
        resource = self.kube.find(obj["apiVersion"], kind)
        if self.dry_run or (resource and self.kube.delete(resource, name, place)):
            self.changes.append(Change(obj, None))

    def _forget(self, configs: Iterable[Object], app: App) -> None:
        """Delete the configurations that no version which can be rolled back to has."""
        replica_sets = self.kube.list(
            REPLICA_SETS, namespace=app.namespace, labels=OWN_SELECTOR
        ).items
        used = {
            name
            for replica_set in replica_sets
            for name in configurations(replica_set["spec"]["template"]["spec"])
        }
        for config in configs:
            if config["metadata"]["name"] not in used:
                self._delete(config)

    def _delete_namespace(self, name: str, removed: Iterable[Object]) -> None:
        """Delete a namespace from which objects were ``removed``, unless others have some there."""
        left = remaining(self.kube, name, removed)
        if others := [obj for obj in left if not (is_own(obj) or is_extra(obj))]:
            self.say(f"namespace {name} stays, it still has {titles(others)}")
        else:
            self._delete(self.state.namespaces[name])


def _by_need(
    apps: Iterable[App], needs: Callable[[Iterable[App]], Iterable[str]]
) -> dict[str, list[App]]:
    """The apps by what each of them needs."""
    found: dict[str, list[App]] = defaultdict(list)
    for app in apps:
        for need in needs([app]):
            found[need].append(app)
    return found


def _is_of(obj: Object, name: str, branch: str) -> bool:
    """Whether an object is the Deployment of an app of this name and branch."""
    is_its_own = obj["kind"] == DEPLOYMENTS.kind and is_app(obj)
    return is_its_own and (obj["metadata"]["labels"][NAME], branch_of(obj)) == (name, branch)


def _with_its_data(claim: Object) -> str:
    """What removes a claim."""
    metadata = claim["metadata"]
    command = f"kubectl delete pvc --namespace {metadata['namespace']} {metadata['name']}"
    return f"{command} removes it with its data"


def _as_yaml(obj: Object | None, before: Object | None = None) -> str:
    """An object without what only the API's own bookkeeping needs, and without secret values.

    Of a Secret it shows which keys are not as they were ``before``, and of what is no text a hash.
    """
    if obj is None:
        return ""
    bookkeeping = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")
    metadata = {key: value for key, value in obj["metadata"].items() if key not in bookkeeping}
    shown = {key: value for key, value in obj.items() if key != "status"}
    if obj["kind"] == SECRETS.kind:
        data, old = obj.get("data") or {}, (before or obj).get("data") or {}
        shown["data"] = {
            key: MASK if old.get(key) == value else f"{MASK} (changed)"
            for key, value in data.items()
        }
    if binary := shown.get("binaryData"):
        shown["binaryData"] = {key: f"no text, {digest(value)}" for key, value in binary.items()}
    text: str = yaml.safe_dump({**shown, "metadata": metadata}, sort_keys=True)
    return text
