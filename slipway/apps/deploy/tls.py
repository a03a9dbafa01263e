"""Certificates of the hosts of apps: found in the vault, or issued by the local authority."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import structs

from slipway.apps.app import HostCertificate
from slipway.apps.manifests.labels import ROUTES_NAMESPACE
from slipway.apps.manifests.routes import pair_of
from slipway.certificates import PARTS, Authority, Pair, faults, from_secrets
from slipway.errors import Problem, SlipwayError
from slipway.kube.client import SECRETS, Object
from slipway.kube.objects import Key


def pairs(
    tls: Mapping[str, str | HostCertificate],
    secrets: Mapping[str, str],
    authority: Callable[[], Authority],
    live: Mapping[Key, Object],
) -> dict[str, Pair]:
    """The certificate of each host of ``tls``, which has where it comes from.

    What the local ``authority`` issued before stays while it is good: it is in the cluster, among
    the objects ``live``. Raises SlipwayError with all that is wrong with those from ``secrets``.
    """
    own = {host: source for host, source in tls.items() if isinstance(source, HostCertificate)}
    found = own_pairs(own, secrets)
    if certified := tls.keys() - own.keys():
        local = authority()
        for host in certified:
            secret = live.get((SECRETS.kind, ROUTES_NAMESPACE, host))
            before = pair_of(secret) if secret else None
            good = before and local.stands_by(before, host)
            found[host] = before if before and good else local.issue(host)
    return found


def own_pairs(own: Mapping[str, HostCertificate], secrets: Mapping[str, str]) -> dict[str, Pair]:
    """By host, the certificates of the vault; ``own`` has the names of their secrets.

    Raises SlipwayError with all that is wrong with them.
    """
    wrong = []
    parts = {host: structs.asdict(source) for host, source in own.items()}
    for host, source in parts.items():
        where = f"certificate of {host}"
        missing = [source[part] for part in PARTS if source[part] not in secrets]
        for name in missing:
            fix = f"add {name} to slipway_secrets"
            wrong.append(Problem(where, f"there is no secret {name}", fix))
        for fault in () if missing else faults(from_secrets(source, secrets), host):
            what = f"the secret {source[fault.part]} {fault.what}"
            wrong.append(Problem(where, what, fault.fix))
    if wrong:
        raise SlipwayError(wrong)
    return {host: from_secrets(source, secrets) for host, source in parts.items()}
