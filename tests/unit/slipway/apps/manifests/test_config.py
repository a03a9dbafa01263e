"""Config files, and the pods that have them."""

from __future__ import annotations

from base64 import b64decode

from slipway.apps.app import ConfigFile
from tests.support.apps import built
from tests.support.rendered import container, objects, only, pod


def test_each_config_file_is_mounted_alone_at_its_path() -> None:
    files = [
        {"path": "/config/b/app.properties", "content": "b"},
        {"path": "/config/a/app.properties", "content": "a"},
        {"path": "/etc/odd name.txt", "content": "c"},
    ]
    config = only("ConfigMap", config_files=files)
    mounts = {m["mountPath"]: m for m in container(config_files=files)["volumeMounts"]}
    for file in files:
        mount = mounts[file["path"]]
        assert config["data"][mount["subPath"]] == file["content"]
        assert mount["readOnly"] is True
    volumes = {volume["name"]: volume for volume in pod(config_files=files)["volumes"]}
    assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
    assert config["immutable"] is True


def test_an_app_without_config_files_has_no_config_map() -> None:
    assert "ConfigMap" not in objects(config_files=[])
    assert [volume["name"] for volume in pod(config_files=[])["volumes"]] == ["tmp"]


def test_the_order_of_config_files_is_of_no_account() -> None:
    files = [*built().config_files, ConfigFile(path="/etc/extra", content="")]
    assert objects(config_files=files) == objects(config_files=[*reversed(files)])


def test_what_is_no_text_is_mounted_beside_what_is() -> None:
    files = [ConfigFile(path="/logo.png", binary=b"\x89PNG"), ConfigFile(path="/a", content="a")]
    config = only("ConfigMap", config_files=files)
    assert config["data"] == {"0-a": "a"}
    assert {key: b64decode(value) for key, value in config["binaryData"].items()} == {
        "1-logo.png": b"\x89PNG"
    }
    mounts = {mount["mountPath"] for mount in container(config_files=files)["volumeMounts"]}
    assert {"/logo.png", "/a"} < mounts
    alone = only("ConfigMap", config_files=files[:1])
    assert "data" not in alone
    names = {
        only("ConfigMap", config_files=[ConfigFile(path="/a", **same)])["metadata"]["name"]
        for same in ({"content": "a"}, {"binary": b"a"}, {"binary": b"b"})
    }
    assert len(names) == 3


def test_the_key_of_a_long_name_is_not_too_long() -> None:
    name = "x" * 255
    config = only("ConfigMap", config_files=[ConfigFile(path=f"/{name}", content="a")])
    [key] = config["data"]
    assert len(key) <= 253
