"""An etcd that lacks a member, as it really is."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from plugins.filter.image_ref import image_ref
from slipway.doctor import etcd
from slipway.doctor.machine import Use
from slipway.oci import ImageStore
from tests.support.checkout import VERSIONS
from tests.support.machines import cluster, told
from tests.support.made import seen
from tests.support.real_bundle import real_bundle

PLANE = Use.CONTROL_PLANE

MANIFEST = """
mount -t tmpfs none /mnt
cp -a /etc/. /mnt
mkdir -p /mnt/kubernetes/manifests
touch /mnt/kubernetes/manifests/etcd.yaml
mount --bind /mnt /etc
ip link set lo up
"""
"""A machine that has a static pod of etcd, as far as files go."""

MEMBER = """
timeout 30 {program} --name=a --data-dir={data} \
    --initial-cluster=a=http://127.0.0.1:2380{others} \
    --listen-peer-urls=http://127.0.0.1:2380 \
    --initial-advertise-peer-urls=http://127.0.0.1:2380 \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
    --listen-metrics-urls=http://127.0.0.1:2381 </dev/null >{data}.log 2>&1 &
until ss -ltn | grep -q 127.0.0.1:2381 && grep -q {sign} {data}.log; do sleep 0.05; done
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle's etcd."""
    folder = tmp_path_factory.mktemp("etcd")
    store = ImageStore(real_bundle() / "images")
    (image,) = store.require([image_ref("etcd", VERSIONS)])
    for layer in image.layers:
        blob = store.root / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
        with tarfile.open(blob) as tar:
            tar.extractall(folder, filter="tar")
    return folder / "usr/local/bin/etcd"


def test_a_machine_without_etcd_has_nothing_to_tell() -> None:
    assert told(etcd.etcd(seen(use=PLANE), cluster())) == []


def test_one_that_does_not_answer_is_told() -> None:
    ((state, found),) = told(etcd.etcd(seen(MANIFEST, PLANE), cluster()))
    assert state == "warn"
    assert "does not answer" in found


@pytest.mark.parametrize(
    ("others", "sign", "state", "words"),
    [
        ("", "elected.leader", "ok", "has a quorum"),
        (",b=http://127.0.0.1:12380", "pre-candidate", "warn", "RAFT NO LEADER"),
    ],
)
def test_a_member_that_the_others_left_alone_has_no_quorum(
    program: Path, tmp_path: Path, others: str, sign: str, state: str, words: str
) -> None:
    member = MEMBER.format(program=program, data=tmp_path / "data", others=others, sign=sign)
    ((seen_as, found),) = told(etcd.etcd(seen(MANIFEST + member, PLANE, made=True), cluster()))
    assert seen_as == state
    assert words in found
