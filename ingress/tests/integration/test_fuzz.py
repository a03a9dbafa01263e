"""Whatever Ingresses there are, nginx takes the whole, and an app that is right is served.

Ten clusters are made up in each run. With SLIPWAY_FUZZ, nginx is asked about one in twenty of as
many as it says, and at most about five hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from nginx_ingress.applied import Applied, Outcome
from nginx_ingress.decisions import decide
from nginx_ingress.nginx import ConfigRefused, Nginx
from nginx_ingress.render import Settings

from ingress.tests.support.clusters import (
    CLUSTERS,
    EXAMPLES,
    HOST,
    NASTY_TEXTS,
    SHARED,
    as_many_as,
    check,
    snapshot,
)
from ingress.tests.support.live import free_ports
from ingress.tests.support.objects import Document, ingress, master, minion, path

NGINX_EXAMPLES = max(1, min(EXAMPLES // 20, 500))

pytestmark = pytest.mark.usefixtures("quiet")


class Judge(Nginx):
    """A real nginx that looks at configurations and runs none.

    ``text`` is what it took last, ``trials`` is how often it has looked.
    """

    text, trials = "", 0

    def __init__(self, settings: Settings) -> None:
        super().__init__("/usr/sbin/nginx", settings)
        self.settings = settings

    def test(self, servers: str) -> str:
        self.trials += 1
        return super().test(servers)

    def apply(self, servers: str) -> None:
        if problem := self.test(servers):
            raise ConfigRefused(problem)
        self.text = servers


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    http_port, https_port = free_ports(2)
    run_dir = tmp_path_factory.mktemp("fuzz") / "run"
    return Judge(Settings(run_dir, http_port, https_port))


@as_many_as(NGINX_EXAMPLES)
@given(CLUSTERS)
def test_nginx_takes_a_good_app_whatever_is_beside_it(judge: Judge, odd: list[Document]) -> None:
    cluster = snapshot(odd)
    decisions, outcome = Applied(judge, judge.settings).apply(
        partial(decide, cluster, "nginx"), cluster
    )
    check(decisions)
    assert outcome == Outcome()
    assert f'server_name "{HOST}"' in judge.text
    assert "127.0.0.1:8080" in judge.text


def with_rewrite(name: str, text: str) -> Document:
    rewrites = {"nginx.org/rewrites": f"serviceName=tea rewrite={text}"}
    return minion(name, "default", path(f"/{name}/"), host=SHARED, annotations=rewrites)


@pytest.mark.parametrize(
    "make",
    [
        lambda name, text: minion(name, "default", path(text), host=SHARED),
        lambda name, text: minion(name, "default", path(f"/{text}"), host=SHARED),
        lambda name, text: ingress(name, host=text, paths=[path("/")]),
        lambda name, text: minion(name, "default", path(f"/{name}", text), host=SHARED),
        lambda name, text: minion(name, "default", path(f"/{name}", port=text), host=SHARED),
        with_rewrite,
    ],
    ids=["path", "path with a slash", "host", "service", "port", "rewrite"],
)
def test_nginx_is_given_nothing_that_it_refuses(
    judge: Judge, make: Callable[[str, str], Document]
) -> None:
    odd = [make(f"n{number}", text) for number, text in enumerate(NASTY_TEXTS) if text != HOST]
    cluster = snapshot([master("shared", host=SHARED), *odd])
    judge.trials = 0
    decisions, _ = Applied(judge, judge.settings).apply(partial(decide, cluster, "nginx"), cluster)
    check(decisions)
    assert judge.trials == 1
    assert "$" not in "".join(decisions.servers)
