"""What upstream says of its versions, page by page and proxy by proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from slipway.bundle.download import Broken
from slipway.bundle.mirrors import mirrors
from slipway.bundle.published import Published
from tests.support.bundles import silent
from tests.support.file_servers import Fault
from tests.support.upstreams import Upstream, upstream

TAGS = "/v2/server/tags/list"


@pytest.fixture
def served(as_nobody: None, waits: list[float]) -> Iterator[Upstream]:
    with upstream() as served:
        yield served


def published(served: Upstream, *proxies: str) -> Published:
    """What is asked, with proxies of Go's modules below the server."""
    given = mirrors({"registry.test": served.url}, {})
    return Published(given, [f"{served.url}{each}" for each in proxies], silent)


def test_tags_may_be_on_several_pages(served: Upstream) -> None:
    served.files[TAGS] = json.dumps({"tags": ["v1.0.0", "v1.0.1-rc.1"]}).encode()
    served.links[TAGS] = "/v2/server/tags/more"
    served.files["/v2/server/tags/more"] = json.dumps({"tags": ["1.2.0", "latest"]}).encode()
    assert published(served).versions("registry.test/server") == {"1.0.0": "", "1.2.0": ""}


@pytest.mark.parametrize(
    ("link", "told"),
    [
        (TAGS, "has more than 100 pages of tags"),
        ("http://other.test/v2/server/tags/list", "leads on to another registry"),
    ],
)
def test_pages_that_lead_astray_are_not_followed(served: Upstream, link: str, told: str) -> None:
    served.files[TAGS] = json.dumps({"tags": ["v1.0.0"]}).encode()
    served.links[TAGS] = link
    with pytest.raises(Broken, match=told):
        published(served).versions("registry.test/server")


def test_a_proxy_that_lacks_a_module_leaves_it_to_the_next(served: Upstream) -> None:
    served.files["/b/example.com/tool/@v/list"] = b"v1.0.0\nv1.1.0\n"
    assert published(served, "/a", "/b").modules("example.com/tool") == ["1.0.0", "1.1.0"]


def test_a_proxy_that_does_not_answer_does_not(served: Upstream) -> None:
    served.faults["/a/example.com/tool/@v/list"] = [Fault(503)] * 3
    served.files["/b/example.com/tool/@v/list"] = b"v1.0.0\n"
    with pytest.raises(Broken, match="HTTP 503"):
        published(served, "/a", "/b").modules("example.com/tool")


def test_without_a_proxy_it_is_said_where_one_is_named(served: Upstream) -> None:
    with pytest.raises(Broken, match="GOPROXY names no proxy") as caught:
        published(served).check_module("example.com/tool", "1.0.0")
    assert caught.value.fix == "go env -w GOPROXY=URL"
