"""Key stores and trust stores of certificates."""

from __future__ import annotations

import pytest

from slipway.certificates import Authority, Pair
from slipway.keystores import certificates_in, key_in, keystore, truststore

PASSWORD = "a8Zq0Lw3"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make()


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("orders")


def test_a_key_store_has_a_key_and_what_proves_it(authority: Authority, pair: Pair) -> None:
    store = keystore(pair, authority.root, "orders", PASSWORD)
    assert key_in(store, PASSWORD) == pair.key
    assert certificates_in(store, PASSWORD) == [pair.certificate, authority.root]


def test_a_trust_store_has_the_root_and_no_key(authority: Authority) -> None:
    store = truststore(authority.root, PASSWORD)
    assert certificates_in(store, PASSWORD) == [authority.root]
    assert key_in(store, PASSWORD) == ""


@pytest.mark.parametrize("password", ["", "another"])
def test_a_store_opens_by_its_password_alone(
    authority: Authority, pair: Pair, password: str
) -> None:
    for store in (
        keystore(pair, authority.root, "orders", PASSWORD),
        truststore(authority.root, PASSWORD),
        b"",
        b"broken",
    ):
        assert key_in(store, password) == ""
        assert certificates_in(store, password) == []
