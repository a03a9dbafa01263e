"""What a run has to do so that the cluster holds what apps.yml says; pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from slipway.apps.app import RESTRICTED, App, Built, runnable
from slipway.apps.boundary import THROUGH, Boundary
from slipway.apps.deploy.extras import decide_extras
from slipway.apps.deploy.state import State
from slipway.apps.environments.found import marks
from slipway.apps.environments.pin import held, is_held
from slipway.apps.environments.resolve import Leaving
from slipway.apps.manifests.bounds_ingress import Routes, paths_left
from slipway.apps.manifests.certificates import (
    certificate_of,
    is_certificate,
    keys_of,
    name_of,
)
from slipway.apps.manifests.environment import NO_QUOTA, contents, namespace, quota_of, rights
from slipway.apps.manifests.extras import kind_of, owner_of_extra
from slipway.apps.manifests.jobs import has_succeeded, is_job
from slipway.apps.manifests.labels import (
    ENVIRONMENTS,
    ROUTES_NAMESPACE,
    brought_along,
    is_extra,
    is_own,
    owner_of,
)
from slipway.apps.manifests.network import Network, check, policies
from slipway.apps.manifests.passwords import is_keeper, keepers, passwords, values_of
from slipway.apps.manifests.render import render
from slipway.apps.manifests.routes import certificate, hosts, master
from slipway.apps.manifests.scaling import is_autoscaler, sized, target_of
from slipway.apps.manifests.secrets import secret
from slipway.apps.manifests.volumes import awaited, begun, is_claim, is_kept
from slipway.certificates import Authority, Pair
from slipway.kube.client import (
    AUTOSCALERS,
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    INGRESSES,
    JOBS,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Object,
)
from slipway.kube.namespaces import usable
from slipway.kube.objects import Key, applicable, by_key, contains, grouped, is_sealed, key_of

NO_CERTIFICATES: Mapping[str, Pair] = MappingProxyType({})
NO_SECRETS: Mapping[str, str] = MappingProxyType({})
NO_EXTRAS: Mapping[str, list[Object]] = MappingProxyType({})

_BESIDE = tuple(
    each.kind
    for each in (
        *(ROLES, ROLE_BINDINGS, SERVICE_ACCOUNTS),
        *(DEPLOYMENTS, AUTOSCALERS, JOBS, CRON_JOBS),
    )
)
"""The kinds of what a version of an app may have beside what serves, which the next may not."""


@dataclass(frozen=True)
class Withdrawal:
    """An Ingress that keeps what is ``left`` of it; None if that is nothing."""

    before: Object
    left: Object | None


@dataclass(frozen=True)
class Decision:
    """What a run will do; all of it empty when the cluster is as it should be."""

    rights: list[Object]
    """What differs of what environments may do."""
    environments: dict[str, list[Object]]
    """By namespace, what differs of itself and of what is in it beside its apps."""
    marks: list[Object]
    """Namespaces that are to be marked because their branch is gone, or no longer."""
    hosts: dict[str, list[Object]]
    """By host, what of its certificate and its master differs."""
    apply: dict[str, list[Object]]
    """By app, what of its objects differs."""
    extras: dict[str, list[Object]]
    """By app, what of its extras differs."""
    leftovers: dict[str, list[Object]]
    """By app, the extras that it no longer has."""
    settled: dict[str, Object]
    """By app, the Deployment as it is to be when the leftovers are gone."""
    orphans: list[Object]
    """Extras of apps that are no more."""
    withdrawals: list[Withdrawal]
    """Ingresses of apps that stay as they are, but for paths that are others' by now."""
    held: dict[str, Object]
    """By app, the Deployment of those that were rolled back and stay so."""
    undecided: list[str]
    """Apps that have no image yet, as in a check before the first build."""
    foreign: list[Object]
    """What somebody else made with Slipway's labels on it, which stays as it is."""
    delete: list[Object]
    unscaled: dict[str, list[Object]]
    """By app, what would change how many pods a Deployment has that says it by a number now."""
    outdated: dict[str, list[Object]]
    """By app, the processes, jobs and rights that its version no longer has."""
    old_configs: dict[str, list[Object]]
    """By app of those to apply, configurations that only older versions may still have."""
    outlived: dict[str, list[Object]]
    """By app, the claims of volumes that it no longer has; they stay as long as it does."""
    kept: list[Object]
    """The claims that stay although their app goes."""
    spare_namespaces: list[str]
    """Namespaces of Slipway's that no app needs any more."""
    own_secrets: dict[str, str]
    """Passwords and keys that environments have of their own, which nothing shown may hold."""


def decide(
    apps: Iterable[App],
    state: State,
    ingress_class: str,
    certificates: Mapping[str, Pair] = NO_CERTIFICATES,
    leaving: Collection[Leaving] = (),
    secrets: Mapping[str, str] = NO_SECRETS,
    extras: Mapping[str, list[Object]] = NO_EXTRAS,
    boundary: Boundary[App] = THROUGH,
    quota: Mapping[str, str] = NO_QUOTA,
    network: Network | None = None,
    authority: Callable[[], Authority] = Authority.make,
) -> Decision:
    """Compare the apps, their ``extras`` and the certificates of their hosts with the cluster.

    What an app has, with what it brought along, stays as it is when the app failed in an earlier
    step, and also when it has no image to compare with: then it counts as undecided. The
    environments that are ``leaving`` stay as they are, too, and so does an app that fails here, in
    its ``boundary``. ``quota`` is how much each app may have. The ``authority`` issues what apps
    show themselves. By the ``network``, environments are apart, those of apps that fail, too.
    """
    apps = list(apps)
    ready = [*runnable(apps)]
    of_hosts = {
        host: [
            *([certificate(host, certificates[host])] if host in certificates else []),
            master(host, ingress_class, tls=host in certificates),
        ]
        for host in hosts(apps)
    }
    known = {app.id for app in apps} | {left.id for left in leaving}
    wanted = {app.id: extras.get(app.id, []) for app in ready}
    of_extras = decide_extras(wanted, state.extras, known)
    kept_passwords = keepers(apps, state.objects)
    live_secrets = grouped(
        (
            obj
            for key, obj in state.objects.items()
            if key[0] == SECRETS.kind and not is_keeper(obj)
        ),
        owner_of,
    )

    def objects_of(app: Built) -> tuple[list[Object], list[Object]]:
        """An app's objects, and as they are to be when its leftovers are gone.

        Until then the kinds of those are noted as well, so that they can be found again.
        """
        for obj in filter(_is_policy, wanted[app.id]):
            check(obj)
        drawn = passwords(app, apps, kept_passwords)
        own = secret(app, secrets, live_secrets.get(app.id, ()), drawn)
        keeper = [kept_passwords[app.id]] if app.id in kept_passwords else []
        shown = None
        if app.certificate:
            there = state.objects.get((SECRETS.kind, app.namespace, name_of(app)))
            password = drawn[None, app.certificate.password]
            shown = certificate_of(app, app.certificate, password, authority(), there)
        left = of_extras.leftovers.get(app.id, ())
        now, *then = (
            [
                *keeper,
                *begun(
                    sized(
                        held(
                            render(app, ingress_class, own, wanted[app.id], noted, shown),
                            state.objects,
                        ),
                        state.objects,
                    ),
                    state.objects,
                ),
            ]
            for noted in ((left, ()) if left else ((),))
        )
        return now, [obj for objects in then for obj in objects if obj not in now]

    made = {app.id: found for app in ready if (found := boundary.run([app], objects_of, app))}
    ready = [app for app in ready if app.id in made]
    rendered = {app_id: now for app_id, (now, _then) in made.items()}
    settled = {
        app_id: obj
        for app_id, (_now, then) in made.items()
        for obj in then
        if obj["kind"] == DEPLOYMENTS.kind
    }
    needed = {*namespaces_of(apps), *(left.namespace for left in leaving)}
    if known:
        needed.add(ROUTES_NAMESPACE)
    of_all = rights() if known else []
    untold = known - rendered.keys()
    untold |= brought_along(untold, known, state.objects.values())
    staying = {key: obj for key, obj in state.objects.items() if owner_of(obj) in untold}
    kept_hosts = _hosts_of(staying.values())
    spaces = {left.namespace for left in leaving}
    guards = {key: obj for key, obj in state.objects.items() if key[0] == NETWORK_POLICIES.kind}
    brought = [
        obj
        for obj in (
            *_flat(wanted[app.id] for app in ready),
            *(obj for obj in state.extras.values() if owner_of_extra(obj) in untold),
        )
        if _is_policy(obj)
    ]
    ways = policies(apps, network, guards.values(), spaces, brought) if network else {}
    kept = {
        *(key for key in guards if key[1] in spaces),
        *by_key(_flat(ways.values())),
        *by_key(_flat((of_all, *of_hosts.values(), *rendered.values()))),
        *by_key(_flat(contents(name) for name in needed - {ROUTES_NAMESPACE})),
        *staying,
        *(key for key in state.objects if key[1] == ROUTES_NAMESPACE and key[2] in kept_hosts),
        *([(CONFIG_MAPS.kind, ROUTES_NAMESPACE, ENVIRONMENTS)] if known else []),
    }
    foreign = {
        key: obj for key, obj in state.objects.items() if key not in kept and not _is_made(obj)
    }
    spare = {
        key: obj for key, obj in state.objects.items() if key not in kept and key not in foreign
    }
    data = {key: obj for key, obj in spare.items() if is_claim(obj)}
    outlived = {key: obj for key, obj in data.items() if owner_of(obj) in rendered}
    kept_data = {k: obj for k, obj in data.items() if k not in outlived and is_kept(obj)}
    spare = {k: obj for k, obj in spare.items() if k not in outlived and k not in kept_data}
    old = {
        key: obj
        for key, obj in spare.items()
        if key[0] in (CONFIG_MAPS.kind, SECRETS.kind) and owner_of(obj) in rendered
    }
    old_configs = grouped(old.values(), owner_of)
    outdated = {
        key: obj for key, obj in spare.items() if key[0] in _BESIDE and owner_of(obj) in rendered
    }
    unscaled = {
        key: obj for key, obj in outdated.items() if is_autoscaler(obj) and target_of(obj) in kept
    }
    apply = {
        app_id: differing
        for app_id, objects in rendered.items()
        if (differing := _differing(objects, state.objects))
    }
    levels = {app.namespace: app.pod_security for app in ready}
    in_space = grouped(apps, lambda app: app.namespace)
    hard = {name: quota_of(users, quota) for name, users in in_space.items()}
    return Decision(
        rights=_differing(of_all, state.objects) if ready else [],
        environments={
            name: differing
            for name in sorted({*namespaces_of(ready), *({ROUTES_NAMESPACE} & needed)})
            if (
                differing := [
                    *_environment(name, levels.get(name, RESTRICTED), hard, state),
                    *_apart(name, ways, state),
                ]
            )
        }
        | {
            name: differing
            for name in sorted(ways.keys() - {*namespaces_of(ready)})
            if name in state.namespaces and (differing := _apart(name, ways, state))
        },
        marks=marks(state.namespaces, apps, leaving),
        hosts={
            host: differing
            for host in hosts(ready)
            if (differing := _differing(of_hosts[host], state.objects))
        },
        apply=apply,
        extras=of_extras.apply,
        leftovers=of_extras.leftovers,
        settled=settled,
        orphans=of_extras.orphans,
        withdrawals=_withdrawals(apps, state, untold),
        held={
            app_id: obj for app_id, objects in rendered.items() for obj in objects if is_held(obj)
        },
        undecided=[app.id for app in apps if not app.failed and not isinstance(app, Built)],
        foreign=list(foreign.values()),
        delete=[obj for key, obj in spare.items() if key not in old and key not in outdated],
        unscaled=grouped(unscaled.values(), owner_of),
        outdated=grouped((obj for key, obj in outdated.items() if key not in unscaled), owner_of),
        old_configs={app_id: old_configs[app_id] for app_id in apply if app_id in old_configs},
        outlived=grouped(outlived.values(), owner_of),
        kept=list(kept_data.values()),
        spare_namespaces=[
            name
            for name, obj in state.namespaces.items()
            if name not in {*needed, *(space for _kind, space, _name in kept_data)}
            and is_own(obj)
            and is_sealed(obj)
            and usable(obj)
        ],
        own_secrets={
            **values_of(kept_passwords.values()),
            **keys_of(obj for obj in _flat(rendered.values()) if is_certificate(obj)),
        },
    )


def _withdrawals(apps: Iterable[App], state: State, untold: Collection[str]) -> list[Withdrawal]:
    """What apps hold of which nothing is said here, though apps.yml gives it to others now."""
    routes, found = Routes(apps), []
    for live in (*state.objects.values(), *state.extras.values()):
        brought = is_extra(live)
        owner = owner_of_extra(live) if brought else owner_of(live)
        if live["kind"] != INGRESSES.kind or owner not in untold:
            continue
        rules = paths_left(live, owner, routes, brought=brought)
        if rules != live["spec"].get("rules", []):
            left = {**live, "spec": {**live["spec"], "rules": rules}}
            found.append(Withdrawal(live, applicable(left) if rules else None))
    return found


def _has_labels(live: Object, wanted: Object) -> bool:
    """Whether an object in the cluster has at least the labels that it is to have."""
    return contains(live["metadata"].get("labels") or {}, wanted["metadata"]["labels"])


def _environment(
    name: str, level: str, hard: Mapping[str, Mapping[str, str]], state: State
) -> list[Object]:
    """What differs of a namespace, and of what is in it beside its apps."""
    live, wanted = state.namespaces.get(name), namespace(name, level)
    is_right = live and usable(live) and (not is_own(live) or _has_labels(live, wanted))
    itself = [] if is_right else [wanted]
    own = live is None or not usable(live) or is_own(live)
    inner = [] if name == ROUTES_NAMESPACE else contents(name, hard[name], is_own=own)
    return [*itself, *_differing(inner, state.objects)]


def _apart(name: str, ways: Mapping[str, list[Object]], state: State) -> list[Object]:
    """What differs of the policies of a namespace, if nobody else made it."""
    live = state.namespaces.get(name)
    own = live is None or not usable(live) or is_own(live)
    return _differing(ways.get(name, ()), state.objects) if own else []


def _is_policy(obj: Object) -> bool:
    return kind_of(obj) == (NETWORK_POLICIES.api_version, NETWORK_POLICIES.kind)


def _is_made(obj: Object) -> bool:
    """Whether it was Slipway that made an object; its notes alone have no hash."""
    return is_sealed(obj) or key_of(obj) == (CONFIG_MAPS.kind, ROUTES_NAMESPACE, ENVIRONMENTS)


def namespaces_of(apps: Iterable[App]) -> list[str]:
    """The namespaces that apps need, that of their routes included."""
    apps = list(apps)
    routes = {ROUTES_NAMESPACE} if hosts(apps) else set()
    return sorted({app.namespace for app in apps} | routes)


def _differing(wanted: Iterable[Object], live: Mapping[Key, Object]) -> list[Object]:
    """The objects that are not in the cluster as they should be.

    The hash among their annotations tells what the rendered object no longer says, the other
    fields what was edited since. A job is as it should be when it came to a good end, and a claim
    when it awaits no data.
    """
    return [
        obj
        for obj in wanted
        if awaited(obj)
        or not (
            has_succeeded(live.get(key_of(obj)))
            if is_job(obj)
            else contains(live.get(key_of(obj)), obj)
        )
    ]


def _hosts_of(objects: Iterable[Object]) -> set[str]:
    """The hosts of the Ingresses among objects."""
    return {
        rule["host"]
        for obj in objects
        if obj["kind"] == INGRESSES.kind
        for rule in obj["spec"].get("rules", [])
        if "host" in rule
    }


def _flat(groups: Iterable[Iterable[Object]]) -> list[Object]:
    return [obj for group in groups for obj in group]
