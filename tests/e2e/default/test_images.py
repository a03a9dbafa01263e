"""An image of a private registry runs as it is, and is carried to the nodes by this machine."""

from __future__ import annotations

from tests.support.shelves import NAME, SECRETS, SERVED, Shelf


def test_it_serves_also_when_its_registry_is_gone_and_another_login_is_refused(
    shelf: Shelf,
) -> None:
    by_tag, by_digest = f"{shelf.address}/{NAME}:1", f"{shelf.address}/{NAME}@{shelf.digest}"
    good = {
        "by-tag": {"image": by_tag, "registry_auth": shelf.login()},
        "by-digest": {"image": by_digest, "registry_auth": shelf.login()},
    }
    guessed = {"image": by_tag, "registry_auth": shelf.login("somebody")}
    run = shelf.deploy(**good, guessed=guessed)
    assert run.code != 0
    assert [word for word in run.failures if "guessed (main)" in word], str(run)
    assert SECRETS["guess"] not in f"{run.output}{run.errors}"
    address = shelf.scenario.ingress_address()
    for name in good:
        answer = shelf.scenario.ask(address, SERVED, f"/{name}/")
        assert (answer.status, bool(answer.text)) == (200, True), (name, answer)
        template = "{.items[0].spec.containers[0].image}"
        image = shelf.scenario.kubectl(
            "get", "pods", "--namespace", f"{name}-main", f"--output=jsonpath={template}"
        )
        assert image.startswith(f"apps.slipway.internal/{name}:main-"), image

    shelf.closing.close()
    again = shelf.deploy(**good)
    assert again.code == 0, str(again)
    assert set(again.changed.values()) == {0}, str(again)
