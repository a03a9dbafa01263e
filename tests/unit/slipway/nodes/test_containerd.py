"""What a node's containerd says, and what is to be done with it."""

from __future__ import annotations

import pytest

from slipway.errors import SlipwayError
from slipway.nodes.containerd import (
    Answer,
    NodeImage,
    NodeState,
    Removal,
    Retention,
    plan_removals,
    read_probe,
)

ONE, TWO = "apps.slipway.internal/greeter:one", "apps.slipway.internal/greeter:two"
THREE, OTHER = "apps.slipway.internal/greeter:three", "other.slipway.internal/greeter:one"


def test_another_name_of_an_image_goes_alone() -> None:
    image = NodeImage("sha256:" + "a" * 64, pinned=True)
    id_ = "sha256:" + "b" * 64
    images = dict.fromkeys([ONE, OTHER, id_], image)
    alone = Removal(image.digest, (ONE,), tuple(sorted(images)))
    assert plan_removals(images, [ONE], staying=[]) == [alone]
    both = Removal(image.digest, (ONE, id_), (ONE, id_))
    del images[OTHER]
    assert plan_removals(images, [ONE], staying=[]) == [both]
    assert plan_removals(images, [], staying=[]) == []


@pytest.mark.parametrize("prefix", ["a", "apps.slipway.internal", "/", "sha256:", "a.b/c d/"])
def test_only_whole_repositories_are_tidied(prefix: str) -> None:
    with pytest.raises(SlipwayError, match="is no beginning of image names"):
        Retention(prefix)


PROBE = f"""unpacking {ONE} (sha256:{"a" * 64})...done

=== names
{ONE}
sha256:{"f" * 64}
=== found
{ONE}
=== content
sha256:{"b" * 64}
sha256:{"c" * 64}
=== snapshots
KEY{" " * 69}PARENT{" " * 66}KIND      
{"0" * 64}        sha256:{"d" * 64} Active    
sha256:{"d" * 64} {" " * 71} Committed 
sha256:{"e" * 64} sha256:{"d" * 64} Committed 
extract-281309573-_k6b sha256:{"9" * 64} {" " * 49} Active    
sha256:{"8" * 64} {" " * 71} Active    
=== files
{"b" * 64}
=== machine
aarch64
Filesystem     1024-blocks      Used Available Capacity Mounted on
/dev/vda         263174212  21000000  74000000      23% /
"""
"""What a node said, as recorded from real containerd."""


def test_a_nodes_answer_is_read() -> None:
    assert read_probe(Answer(0, PROBE, "")) == NodeState(
        architecture="arm64",
        free=74000000 * 1024,
        found=frozenset({ONE}),
        blobs=frozenset({"sha256:" + "b" * 64}),
        snapshots=frozenset({"sha256:" + "d" * 64, "sha256:" + "e" * 64}),
        names=frozenset({ONE, "sha256:" + "f" * 64}),
    )


@pytest.mark.parametrize(
    "until", ["=== found", "=== content", "=== snapshots", "=== machine", "/dev/vda", ""]
)
def test_an_answer_that_is_cut_off_is_no_answer(until: str) -> None:
    assert read_probe(Answer(0, PROBE[: PROBE.index(until)], "")) is None
