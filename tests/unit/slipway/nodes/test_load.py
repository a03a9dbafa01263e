"""How much room a delivery needs."""

from __future__ import annotations

from slipway.nodes.load import Delivery
from slipway.oci import Image
from slipway.oci.model import LAYER, LAYER_GZIP, Descriptor

ONE, TWO = "apps.slipway.internal/greeter:one", "apps.slipway.internal/greeter:two"


def test_compressed_layers_need_more_room_than_their_size() -> None:
    blob = Descriptor("x", "sha256:" + "0" * 64, 10)
    layer = Descriptor(LAYER_GZIP, "sha256:" + "1" * 64, 100)
    image = Image(ONE, "linux/amd64", blob, blob, (layer,))
    assert Delivery((image,)).room == 110 + 300
    assert Delivery((image,), without={layer.digest}).room == 10


def test_a_layer_on_a_new_one_is_unpacked_again() -> None:
    small = Descriptor("x", "sha256:" + "0" * 64, 10)
    base = Descriptor(LAYER, "sha256:" + "1" * 64, 1000)
    app = Descriptor(LAYER, "sha256:" + "2" * 64, 100)
    image = Image(ONE, "linux/amd64", small, small, (base, app))
    assert Delivery((image,), without={app.digest}).room == 1010 + 1100
    assert Delivery((image,), without={base.digest}).room == 110 + 100
