"""Apps on their way from step to step, and their settings as apps.yml may have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import Struct, structs

from slipway.apps.app import (
    App,
    BranchRules,
    Build,
    BuildxBuild,
    Built,
    Certificate,
    Chart,
    ConfigFile,
    Environment,
    GitAuth,
    HostCertificate,
    ImageBuild,
    Ingress,
    JibBuild,
    Job,
    Manifest,
    Port,
    PrebuiltBuild,
    Probe,
    Process,
    RbacRule,
    RegistryLogin,
    RolledBack,
    Rule,
    Security,
    Service,
    Sourced,
    Variable,
    Volume,
    checkouts_of,
    images_of,
    load,
    load_environments,
    save,
)
from slipway.apps.plan.schema import schema
from tests.support.apps import COMMIT, built, planned, sourced


class Setting(NamedTuple):
    """The type of a setting that is an object, and such an object.

    ``added`` are the fields that apps.yml does not have, as the plan finds them out, and
    ``elsewhere`` the keys whose values the plan puts into another type.
    """

    type: type[Struct]
    given: dict[str, Any]
    added: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()


RULE = {"host": "a.test", "path": "/a", "path_type": "Exact", "rewrite": "/b", "expect": "Hello"}
SETTINGS = {
    "git_auth": Setting(
        GitAuth,
        {
            "token": "t",
            "user": "oauth2",
            "ssh_key": "s",
            "github_deploy_key": "g",
            "known_hosts": "git.test ssh-ed25519 AAAA",
        },
    ),
    "registry_login": Setting(RegistryLogin, {"user": "builds", "password": "registry"}),
    "branches": Setting(BranchRules, {"max": 3, "grace": "1h", "keep": ["a"], "exclude": ["b"]}),
    "jib": Setting(
        JibBuild,
        {"tool": "jib", "module": "web", "args": ["-Pfast"], "secrets": {"TOKEN": "maven"}},
    ),
    "buildx": Setting(
        BuildxBuild,
        {
            "tool": "buildx",
            "context": "service",
            "dockerfile": "docker/Run",
            "target": "run",
            "args": {"LEVEL": "3"},
            "secrets": {"npm": "npm_token"},
        },
    ),
    "prebuilt": Setting(
        PrebuiltBuild, {"tool": "prebuilt", "archive": "/srv/a.tar"}, added=frozenset({"secrets"})
    ),
    "service": Setting(
        Service,
        {"type": "LoadBalancer", "address": "172.28.1.20", "ports": {"https": {"port": 443}}},
    ),
    "certificate": Setting(Certificate, {"path": "/tls", "password": "store", "hosts": ["a.test"]}),
    "service_port": Setting(
        Port, {"port": 443, "target": 8443, "protocol": "UDP", "node_port": 30443}
    ),
    "probe": Setting(
        Probe,
        {
            "path": "/a",
            "command": ["true"],
            "port": 81,
            "scheme": "https",
            "period": 5,
            "timeout": 2,
            "failures": 9,
        },
    ),
    "env_value": Setting(
        Variable,
        {"secret": "s", "config_map": "c", "kubernetes_secret": "k", "key": "a"},
        added=frozenset({"value"}),
    ),
    "config_file": Setting(
        ConfigFile,
        {
            "path": "/a",
            "content": "a=1\n",
            "source": "a",
            "file": "/b",
            "secret": "s",
            "template": True,
        },
        added=frozenset({"binary"}),
    ),
    "volume": Setting(
        Volume,
        {
            "path": "/var/lib/data",
            "size": "5Gi",
            "keep": True,
            "class": "fast",
            "from": {"branch": "main"},
        },
    ),
    "manifest": Setting(
        Manifest,
        {
            "content": "a: 1\n",
            "source": "a",
            "file": "/b",
            "template": False,
            "allow_kinds": ["ClusterRole"],
            "pull": "nodes",
        },
    ),
    "helm_release": Setting(
        Chart,
        {
            "release": "redis",
            "source": "chart",
            "file": "/chart",
            "values": {"size": 1.5, "more": [{"name": "ä", "is": True, "none": None}]},
            "allow_kinds": ["ClusterRole"],
            "pull": "nodes",
        },
    ),
    "process": Setting(
        Process, {"command": ["work"], "replicas": 2, "resources": {"limits": {"memory": "1Gi"}}}
    ),
    "job": Setting(
        Job,
        {
            "command": ["migrate"],
            "when": "first",
            "schedule": "@daily",
            "timeout": 5,
            "resources": {"limits": {"memory": "1Gi"}},
        },
    ),
    "rbac_rule": Setting(
        RbacRule,
        {
            "api_groups": ["apps"],
            "resources": ["deployments"],
            "resource_names": ["web"],
            "verbs": ["get"],
        },
    ),
    "security": Setting(
        Security, {"run_as_user": 0, "writable_root": True, "capabilities": ["NET_ADMIN"]}
    ),
    "rule": Setting(Rule, RULE, added=frozenset({"tls"})),
    "ingress": Setting(
        Ingress,
        {
            "rules": [RULE],
            "websocket": True,
            "max_body_size": "2m",
            "timeout": "9s",
            "max_header_size": "64k",
            "rewrite_redirects": True,
        },
        elsewhere=frozenset({"host"}),
    ),
    "tls": Setting(HostCertificate, {"certificate": "c", "key": "k"}),
}

WHOLE: dict[str, Any] = {
    "git_auth": SETTINGS["git_auth"].given,
    "git_submodules": ["https://git.test/library.git"],
    "git_path": "services/web",
    "pattern": "*",
    "head": COMMIT,
    "owner": {"name": "orders", "git_url": "https://git.test/orders.git"},
    "needs": [{"app": "orders-db"}],
    "build": SETTINGS["buildx"].given,
    "base_image": {"buildx": "python:3"},
    "registry_auth": {"r.test:5000": SETTINGS["registry_login"].given},
    "probes": {"startup": SETTINGS["probe"].given, "liveness": {}},
    "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
    "env": {"A": {"value": ""}, "B": SETTINGS["env_value"].given},
    "config_files": [
        SETTINGS["config_file"].given,
        {"path": "/b", "content": ""},
        {"path": "/c", "binary": b"\xff"},
    ],
    "volumes": {"data": SETTINGS["volume"].given},
    "manifests": [SETTINGS["manifest"].given],
    "helm": [SETTINGS["helm_release"].given],
    "service_account": "reader",
    "rbac": [SETTINGS["rbac_rule"].given],
    "certificate": SETTINGS["certificate"].given,
    "scheme": "https",
    "security": SETTINGS["security"].given,
    "pod_security": "privileged",
    "quota": {"pods": "50"},
    "reach": [{"app": "orders", "branch": "main"}],
    "command": ["serve"],
    "processes": {"worker": SETTINGS["process"].given},
    "jobs": {"migrate": SETTINGS["job"].given},
    "node_selector": {"disk": "ssd"},
    "ingress": {
        **SETTINGS["ingress"].given,
        "rules": [
            {**RULE, "tls": "local-ca"},
            {**RULE, "tls": SETTINGS["tls"].given},
            {"host": "b.test", "path": "/"},
        ],
    },
    "failed": {"step": "deploy", "reason": "first line\n    | «second»\u2028\x1b[0m"},
    "held": COMMIT,
}
"""All that an app need not have, none of it as it is by default."""

CARRIED = {
    "named": "redis:8",
    "image": "redis:1",
    "node_selector": {"disk": "ssd"},
    "tolerant": True,
    "architecture": "amd64",
}

APPS = [
    planned(),
    planned(build={"tool": "jib"}),
    planned(build={"tool": "prebuilt", "archive": "image.tar"}),
    planned(**WHOLE),
    sourced(whole=False, project="services/web", tree="1" * 40),
    sourced(**WHOLE),
    built(),
    built(**WHOLE, carried=[CARRIED]),
]
STAGES = [App, App, App, App, Sourced, Sourced, Built, Built]


def test_images_and_work_trees_are_those_of_the_apps_that_have_one() -> None:
    apps = [
        planned(),
        sourced(checkout="/source/1"),
        built(image="greeter:1", checkout="/source/2"),
        built(image="quotes:1", checkout="/source/2", carried=[CARRIED, {**CARRIED, "image": ""}]),
    ]
    assert images_of(apps) == {"greeter:1", "quotes:1", "redis:1"}
    assert checkouts_of(apps) == {Path("/source/1"), Path("/source/2")}


def test_what_is_saved_is_loaded_at_its_stage(tmp_path: Path) -> None:
    path = save(APPS, tmp_path)
    for loaded in (load(path), load_environments(path)):
        assert loaded == APPS
        assert [type(app) for app in loaded] == STAGES


def test_all_that_an_app_can_have_is_saved() -> None:
    for app in (planned(**WHOLE), sourced(**WHOLE), built(**WHOLE, carried=[CARRIED])):
        assert msgspec.to_builtins(app).keys() == {"stage", *app.__struct_fields__}


def test_what_is_rolled_back_is_loaded_beside_apps(tmp_path: Path) -> None:
    back = RolledBack(
        id="greeter-main/greeter",
        name="greeter",
        namespace="greeter-main",
        git_branch="main",
        image="apps.slipway.internal/greeter:main-1",
        node_selector={"disk": "ssd"},
    )
    saved: list[Environment] = [back, *APPS]
    path = save(saved, tmp_path)
    loaded = load_environments(path)
    assert loaded == saved
    assert [type(each) for each in loaded] == [RolledBack, *STAGES]
    with pytest.raises(msgspec.MsgspecError, match="rolled back"):
        load(path)


def test_each_list_has_a_file_of_its_own(tmp_path: Path) -> None:
    first, second = save(APPS, tmp_path), save([], tmp_path)
    assert load(first) == APPS
    assert load(second) == []


@pytest.mark.parametrize("text", ["", "{}", "[{}]", '[{"stage": "built"}]', '[{"stage": "other"}]'])
def test_what_is_no_list_of_apps_is_not_loaded(tmp_path: Path, text: str) -> None:
    (tmp_path / "apps.json").write_text(text)
    for read in (load, load_environments):
        with pytest.raises(msgspec.MsgspecError):
            read(str(tmp_path / "apps.json"))


def keys_of(setting: str) -> dict[str, Any]:
    """The keys of a setting by its schema, where it is an object."""
    definition = schema()["definitions"][setting]
    parts = (definition, definition.get("then", {}), definition.get("else", {}))
    [found] = [part["properties"] for part in parts if "properties" in part]
    return dict(found)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_type_has_the_keys_of_its_setting(name: str) -> None:
    setting = SETTINGS[name]
    fields = {field.encode_name for field in structs.fields(setting.type)}
    assert fields - setting.added == keys_of(name).keys() - setting.elsewhere
    assert setting.added <= fields
    assert setting.elsewhere <= keys_of(name).keys()


@pytest.mark.parametrize(
    ("ref", "version"),
    [
        ("redis", "latest"),
        ("redis:8", "8"),
        ("r.test:5000/redis", "latest"),
        ("r.test:5000/a/redis:8-alpine", "8-alpine"),
        (f"redis:8@sha256:{'ab' * 32}", "ab" * 32),
    ],
)
def test_an_image_says_which_version_it_is(ref: str, version: str) -> None:
    assert ImageBuild(ref=ref).version == version


def test_an_app_has_the_keys_of_its_entry() -> None:
    found_out = {"id", "branch_slug", "pattern", "head", "failed", "held", "owner", "needs"}
    fields = {field.encode_name for field in structs.fields(App)}
    become_others = {"branches", "image", "repository_settings", "services", "uses"}
    assert fields == found_out | (keys_of("app").keys() - become_others)


def test_each_builder_has_a_type() -> None:
    tools = schema()["definitions"]["build"]["else"]["properties"]
    assert tools.keys() == {msgspec.convert(SETTINGS[each].given, Build).tool for each in tools}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_left_out_is_as_the_schema_says(name: str) -> None:
    """Where the type leaves it at that: None is for a later step to decide."""
    setting = SETTINGS[name]
    keys = keys_of(name)
    for field in structs.fields(setting.type):
        if not field.required and "default" in keys.get(field.encode_name, {}):
            made = field.default_factory is not msgspec.NODEFAULT
            default = field.default_factory() if made else field.default
            assert default in (None, keys[field.encode_name]["default"]), field.name


@pytest.mark.parametrize("name", SETTINGS)
def test_a_key_that_a_setting_does_not_have_is_refused(name: str) -> None:
    setting = SETTINGS[name]
    assert isinstance(msgspec.convert(setting.given, setting.type), setting.type)
    with pytest.raises(msgspec.ValidationError, match="unknown field `typo`"):
        msgspec.convert({**setting.given, "typo": 1}, setting.type)
