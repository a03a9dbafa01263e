"""What a repository says of its own app counts within bounds, and is wrong for its branch alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft7Validator

from slipway.apps.app import App, Reach, Variable
from slipway.apps.manifests.network import reached
from slipway.apps.plan import repository
from slipway.apps.plan.branches import Matches, Sample
from slipway.apps.plan.plan import plan
from slipway.apps.plan.repository import Said
from slipway.errors import SlipwayError
from slipway.secrets import Secrets
from tests.support.apps import reason

HEAD = "0123456789abcdef0123456789abcdef01234567"
WHERE = "slipway.yml of https://git.test/web.git, branch main at 0123456, line"

SECRETS = {
    "any": "s3cret-any",
    "own": {"value": "s3cret-own", "apps": ["web", "web-*"]},
    "other": {"value": "s3cret-other", "apps": ["shop"]},
}

FILE = """
version: 1
defaults: {git_url: https://git.test/web.git, ingress: {host: "demo.{{ domain }}"}}
apps:
  - {name: web, repository_settings: true}
"""

NEXT = """
version: 1
defaults: {git_url: https://git.test/web.git}
apps:
  - name: web
    repository_settings: true
    env: {MODE: quiet}
  - name: shop
    ingress: {host: main.web.slipway.test, rules: [{path: /shop/}]}
    services: {db: {image: postgres, port: 5432, env: {P: {password: db}}}}
  - {name: web-worker, namespace: web-main}
"""


def planned(
    tmp_path: Path, texts: Mapping[str, str | bytes | None], file: str = FILE, **context: Any
) -> list[App]:
    """The apps of a file, with what web's repository says: a slipway.yml for each branch."""

    def read(apps: Sequence[App]) -> list[Said]:
        found = [texts.get(app.git_branch) if app.name == "web" else None for app in apps]
        given = [each.encode() if isinstance(each, str) else each for each in found]
        return [Said(each, head=HEAD, heads=dict.fromkeys(texts, HEAD)) for each in given]

    def find(samples: Sequence[Sample]) -> list[Matches]:
        return [Matches(sorted(texts), heads=dict.fromkeys(texts, HEAD)) for _ in samples]

    path = tmp_path / "apps.yml"
    path.write_text(file)
    context = {"secrets": Secrets(SECRETS), **context}
    return plan(path, find_branches=find, read_settings=read, **context)


def one(tmp_path: Path, text: str, file: str = FILE) -> App:
    """The first app of a file, with what its repository says on main."""
    return next(app for app in planned(tmp_path, {"main": text}, file) if app.name == "web")


def test_a_repository_is_not_asked_unless_apps_yml_says_so(tmp_path: Path) -> None:
    [app] = planned(
        tmp_path, {"main": "replicas: 3\n"}, FILE.replace("repository_settings: true", "port: 80")
    )
    assert (app.replicas, app.head) == (1, "")


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n", "{}\n", "x-notes: [1]\n"])
def test_without_a_word_of_it_an_app_is_as_apps_yml_says(tmp_path: Path, text: str) -> None:
    [app] = planned(tmp_path, {"main": text})
    assert (app.failed, app.ingress, app.head) == (None, None, HEAD)
    [plain] = planned(tmp_path, {}, FILE.replace(", repository_settings: true", ""))
    plain.head = app.head
    assert app == plain


def test_what_it_says_is_between_the_entry_and_the_defaults(tmp_path: Path) -> None:
    file = """
version: 1
defaults:
  git_url: https://git.test/web.git
  repository_settings: true
  replicas: 2
  port: 80
  env: {A: defaults, B: defaults, C: defaults}
apps:
  - {name: web, port: 82, env: {A: entry}}
"""
    app = one(tmp_path, "replicas: 3\nport: 81\nenv: {A: repository, B: repository}\n", file)
    assert (app.replicas, app.port) == (3, 82)
    assert app.env == {
        "A": Variable(value="entry"),
        "B": Variable(value="repository"),
        "C": Variable(value="defaults"),
    }


def test_everything_that_is_for_it_gets_where_it_gets_from_apps_yml(tmp_path: Path) -> None:
    text = """
x-pod: &pod {requests: {memory: 64Mi}}
build: {buildx: {context: service, args: {A: 1}, secrets: {npm: own}}}
base_image: docker.io/library/python:3
command: [serve, 8000]
port: 8000
replicas: 2
health_path: /healthz
probes: {liveness: {path: /live}}
resources: *pod
processes: {worker: {command: [work]}}
jobs: {migrate: {command: [migrate]}}
env: {A: "{{ branch }}", B: {secret: own}, C: {password: own}, D: {password: db, app: web-db}}
config_files: [{path: /c, content: x}, {path: /s, source: s.txt}]
manifests: [{source: deploy/more.yaml}]
helm: [{source: deploy/chart, values: {a: 1}}]
service: {ports: {grpc: {port: 9000}}}
services:
  db: {image: postgres, port: 5432, env: {P: {password: db}}, security: {run_as_user: 999}}
ingress: {rules: [{path: /web/main/, rewrite: /}]}
"""
    entry = "".join(f"    {line}\n" for line in text.strip().splitlines())
    written = FILE.replace(
        "  - {name: web, repository_settings: true}\n", f"  - name: web\n{entry}"
    )
    told = planned(tmp_path, {"main": text})
    plain = planned(tmp_path, {}, written)
    assert [app.failed for app in told] == [None, None]
    assert told[0].quota == {"pods": "0"}
    for app in told:
        app.head, app.quota = "", {}
    assert told == plain


class Case(NamedTuple):
    """A bad slipway.yml, and the parts of what is said of each line of it."""

    text: str | bytes
    mistakes: list[tuple[str, ...]]
    file: str = FILE


def only(key: str, value: str = "x", line: int = 1) -> Case:
    """A file with a key that is for apps.yml alone."""
    words = "is not the repository's to say", "whoever keeps apps.yml"
    return Case(f"{key}: {value}\n", [(f"{line} {key}:", *words)])


CASES = {
    **{
        key: only(key, value)
        for key, value in {
            "name": "shop",
            "git_url": "https://git.test/shop.git",
            "git_branch": "main",
            "git_path": "a",
            "git_auth": "{token: any}",
            "git_submodules": "[https://git.test/other.git]",
            "branches": "{max: 100}",
            "namespace": "shop-main",
            "image": "postgres",
            "registry_auth": "{r.test: {user: me, password: any}}",
            "quota": "{pods: 100}",
            "service_account": "admin",
            "rbac": "[{resources: [secrets], verbs: [get]}]",
            "reach": "[{app: shop}]",
            "uses": "[shop]",
            "security": "{writable_root: true}",
            "pod_security": "baseline",
            "node_selector": "{a: b}",
            "repository_settings": "true",
        }.items()
    },
    "several at once, by lines": Case(
        "prot: 80\nreplicas: many\nquota: {pods: 9}\nenv: {A: [1]}\n",
        [
            ("1 prot:", "unknown key", "write port"),
            ("2 replicas:", "whole number"),
            ("3 quota:", "is not the repository's to say"),
            ("4 env.A:", "must be text or say where the value comes from"),
        ],
    ),
    "not YAML": Case("a: [\n", [("2:", "is not YAML")]),
    "two documents": Case("port: 1\n---\nport: 2\n", [("2:", "is not YAML", "another document")]),
    "not UTF-8": Case(b"port: 1\n\xff\xfe", [("1:", "save it as UTF-8")]),
    "no mapping": Case("- port\n", [("1:", "a list", "must be a mapping")]),
    "text alone": Case("port\n", [("1:", "must be a mapping")]),
    "a key twice": Case("port: 1\nport: 2\n", [("2 port:", "stands here again, after line 1")]),
    "a tag of Python's": Case(
        "port: !!python/object/apply:os.system [id]\n", [("1 port:", "a list", "whole number")]
    ),
    "a word with a tag of Python's": Case(
        "command: [!!python/name:os.system x]\n", [("1:", "is not YAML", "python/name")]
    ),
    "a tag of Ansible's": Case("env: {A: !vault x}\n", [("1 env.A:", "has the tag !vault")]),
    "what Ansible Vault encrypted": Case(
        "$ANSIBLE_VAULT;1.1;AES256\n616\n", [("1:", "is encrypted by Ansible Vault")]
    ),
    "an alias within itself": Case("x-a: &a [*a]\n", [("1:", "an alias inside")]),
    "aliases that multiply": Case(
        "x-a: &a [" + "1," * 99 + "]\nx-b: &b [" + "*a," * 99 + "]\nx-c: [" + "*b," * 99 + "]\n",
        [("1:", "more than 10000 values")],
    ),
    "long text by aliases": Case(
        f"x-a: &a {'x' * 100_000}\nx-b: [{'*a,' * 20}]\n", [("1:", "more than 1048576 characters")]
    ),
    "too deep": Case("x-a: " + "[" * 5000 + "]" * 5000, [("1:", "more than 100 deep")]),
    "a template of an unknown name": Case(
        'env: {A: "{{ secrets }}"}\n', [("1 env.A:", "the unknown variable secrets")]
    ),
    "a template that is none": Case('env: {A: "{{ branch"}\n', [("1 env.A:", "is no template")]),
    "programs": Case(
        "env:\n" + "".join(f"  A{at}: '{{{{ branch * 2 }}}}'\n" for at in range(21)),
        [("22 env.A20:", "one of 21 templates", "at most 20")],
    ),
    "files that may be programs": Case(
        "config_files:\n"
        + "".join(f"- {{path: /{at}, source: a, template: true}}\n" for at in range(21)),
        [("22 config_files[20]:", "one of 21 templates", "at most 20")],
    ),
    "a secret for anybody": Case(
        "env:\n  A: {secret: any}\n",
        [("2 env.A.secret:", "any, which is for no app in particular", "apps: [web]")],
    ),
    "a secret of another app": Case(
        "config_files: [{path: /a, secret: other}]\n",
        [("1 config_files[0].secret:", "other, which is not for web")],
    ),
    "a secret that is none": Case(
        "build: {jib: {secrets: {A: onw}}}\n", [("1 build.jib.secrets.A:", "write own")]
    ),
    "a secret of a service": Case(
        "services:\n  db: {image: a, port: 1, env: {A: {secret: any}}}\n",
        [("2 services.db.env.A.secret:", "apps: [web-db]")],
    ),
    "a secret to the letter": Case(
        "env: {DB_PASSWORD: hunter2}\n", [("1 env.DB_PASSWORD:", "is a secret by its name")]
    ),
    "a Secret of the namespace": Case(
        "env: {A: {kubernetes_secret: a, key: b}}\n",
        [("1 env.A.kubernetes_secret:", "is not the repository's to say")],
    ),
    "another app's password": Case(
        "env: {A: {password: db, app: shop-db}}\n",
        [("1 env.A.app:", "is a password of shop-db", "a service of the app")],
        NEXT,
    ),
    "a password of itself on another branch": Case(
        "env: {A: {password: a}, B: {password: a, app: web}}\n"
        "services:\n"
        "  db: {image: a, port: 1, env: {A: {password: a}, B: {password: a, app: web-db}}}\n",
        [
            ("1 env.B.app:", "is a password of web in another environment", "leave it out"),
            ("3 services.db.env.B.app:", "is a password of web-db in another environment"),
        ],
    ),
    "a password of a service that all environments share": Case(
        "config_files: [{path: /a, password: root, app: web-db}]\n",
        [("1 config_files[0].app:", "is a password of web-db", "keeps apps.yml")],
        FILE.replace(
            "repository_settings",
            "services: {db: {image: a, port: 1, scope: cluster, env: {A: {password: root}}}}, "
            "repository_settings",
        ),
    ),
    "a file of this machine": Case(
        "config_files: [{path: /a, file: /etc/passwd}]\n",
        [("1 config_files[0].file:", "is not the repository's to say")],
    ),
    "a manifest that the operator would apply": Case(
        "manifests: [{file: a.yaml, allow_kinds: [ClusterRole]}]\n",
        [("manifests[0].file:", "repository's"), ("manifests[0].allow_kinds:", "repository's")],
    ),
    "a manifest to the letter": Case(
        "manifests: [{content: a}]\n", [("manifests[0].content:", "repository's")]
    ),
    "images that nodes fetch": Case(
        "helm: [{source: a, pull: nodes}]\n", [("helm[0].pull:", "repository's")]
    ),
    "an archive of this machine": Case(
        "build: {prebuilt: {archive: /srv/a.tar}}\n",
        [("1 build.prebuilt.archive:", "must be a path inside the repository")],
    ),
    "an archive as base": Case(
        "base_image: tar:///srv/a.tar\n", [("1 base_image:", "archives are for apps.yml")]
    ),
    "an address": Case(
        "service: {type: LoadBalancer, address: 10.0.0.1}\n",
        [("service.type:", "repository's"), ("service.address:", "repository's")],
    ),
    "a port of the nodes": Case(
        "service: {ports: {a: {port: 1, node_port: 30000}}}\n",
        [("service.ports.a.node_port:", "repository's")],
    ),
    "ports of an address that apps.yml gives": Case(
        "service: {ports: {ssh: {port: 22}}}\n",
        [("1 service.ports:", "opens ports to others")],
        FILE.replace("repository_settings", "service: {type: LoadBalancer}, repository_settings"),
    ),
    "routes that open one more port at an address": Case(
        "ingress: {host: main.web.slipway.test, rules: [{path: /}]}\n",
        [("1 ingress:", "one more port to others", "whoever keeps apps.yml")],
        FILE.replace(
            "repository_settings",
            "service: {type: LoadBalancer, ports: {ssh: {port: 22}}}, repository_settings",
        ),
    ),
    "data of others, or that outlive their branch": Case(
        "volumes: {a: {path: /a, from: {branch: main}, keep: true, class: fast}}\n",
        [
            ("volumes.a.from:", "repository's"),
            ("volumes.a.keep:", "repository's"),
            ("volumes.a.class:", "repository's"),
        ],
    ),
    "a volume of a service that outlives its branch": Case(
        "services: {db: {image: a, port: 1, volumes: {a: {path: /a, keep: true}}}}\n",
        [("services.db.volumes.a.keep:", "repository's")],
    ),
    "a certificate for other names": Case(
        "certificate: {hosts: [shop.slipway.test]}\n",
        [("certificate.hosts:", "repository's")],
    ),
    "a service for all": Case(
        "services: {db: {image: a, port: 1, scope: cluster}}\n",
        [("services.db.scope:", "repository's")],
    ),
    "a service that is root": Case(
        "services: {db: {image: a, port: 1, security: {run_as_user: 0}}}\n",
        [("services.db.security.run_as_user:", "must be at least 1")],
    ),
    "a service at an address": Case(
        "services: {db: {image: a, port: 1, service: {type: NodePort}}}\n",
        [("services.db.service.type:", "repository's")],
    ),
    "more services than anybody needs": Case(
        "services:\n" + "".join(f"  s{at}: {{image: a, port: 1}}\n" for at in range(21)),
        [("1 services:", "has 21 entries", "may have 20")],
    ),
    "a job that the run waits for": Case(
        "jobs: {a: {command: [a], timeout: 86400}}\n", [("jobs.a.timeout:", "at most 600")]
    ),
    "jobs that the run waits for one after the other": Case(
        "jobs:\n  a: {command: [a], timeout: 300}\n  b: {command: [b], timeout: 301, when: first}\n"
        "  c: {command: [c], schedule: '@daily'}\n",
        [("1 jobs:", "may have a run wait 601 s for a, b", "at most 600 together")],
    ),
    "more of anything than anybody needs": Case(
        "processes:\n"
        + "".join(f"  p{at}: {{command: [a]}}\n" for at in range(21))
        + "config_files:\n"
        + "".join(f"- {{path: /{at}, content: a}}\n" for at in range(101))
        + "volumes: {"
        + "".join(f"v{at}: /v{at}, " for at in range(21))
        + "}\n",
        [
            ("1 processes:", "has 21 entries", "may have 20"),
            ("23 config_files:", "has 101 entries", "may have 100"),
            ("125 volumes:", "has 21 entries", "may have 20"),
        ],
    ),
    "more routes than anybody needs": Case(
        "ingress:\n  rules: [" + "{path: /web/main/}," * 101 + "]\n",
        [("2 ingress.rules:", "has 101 entries", "may have 100")],
    ),
    "a build of an image": Case(
        "build: jib\n",
        [("1 build:", "has no meaning with image")],
        FILE.replace("{name", "{image: a, git_url: https://git.test/web.git, name"),
    ),
    "a host of nobody": Case(
        "ingress: {host: bank.test, rules: [{path: /}]}\n",
        [("1 ingress.host:", "bank.test is no host of this", "write main.web.slipway.test")],
    ),
    "the host of another branch": Case(
        "ingress: {host: feature-a.web.slipway.test, rules: [{path: /}]}\n",
        [("1 ingress.host:", "is no host of this environment's")],
    ),
    "a host that only ends like its own": Case(
        "ingress: {rules: [{path: /, host: x-main.web.slipway.test}]}\n",
        [("1 ingress.rules[0].host:", "is no host of this environment's")],
    ),
    "its own host, which apps.yml gives to another": Case(
        "ingress:\n  host: main.web.slipway.test\n  rules: [{path: /}]\n",
        [("2 ingress.host:", "main.web.slipway.test is the host of shop")],
        NEXT,
    ),
    "a path of a host for all": Case(
        "ingress:\n  rules:\n  - {path: /web/main/}\n  - {path: /web/mainly/}\n  - {path: /}\n",
        [
            ("4 ingress.rules[1].path:", "/web/mainly/ is beside", "write /web/main/ or what is"),
            ("5 ingress.rules[2].path:", "/ is beside what others have at demo.slipway.test"),
        ],
        FILE + "  - {name: shop, repository_settings: true}\n",
    ),
    "a path below another app's": Case(
        "ingress: {rules: [{path: /web/main/a/}]}\n",
        [("1 ingress.rules[0].path:", "is, or is below, /web/ of shop")],
        FILE + "  - {name: shop, ingress: {rules: [{path: /web/}]}}\n",
    ),
    "a service with the name of another app's": Case(
        "services:\n  a-db: {image: a, port: 1}\n",
        [("2 services.a-db:", "is web-a-db, the name of another app")],
        FILE + "  - {name: web-a, services: {db: {image: a, port: 1}}}\n",
    ),
    "a process with the name of another app": Case(
        "processes:\n  worker: {command: [a]}\n",
        [("2 processes.worker:", "is also the name of what apps.yml")],
        NEXT,
    ),
    "a service with the name of another app": Case(
        "services:\n  worker: {image: a, port: 1}\n",
        [("2 services.worker:", "is web-worker, the name of another app")],
        NEXT,
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_a_bad_file_is_the_failure_of_its_branch(tmp_path: Path, case: Case) -> None:
    apps = planned(tmp_path, {"main": case.text}, case.file)
    [told] = [app for app in apps if app.failed and app.name.startswith("web")]
    lines = [line for line in reason(told).splitlines() if not line.startswith("    fix: ")]
    assert len(lines) == len(case.mistakes), reason(told)
    for line, parts in zip(lines, case.mistakes, strict=True):
        report = reason(told)[reason(told).index(line) :].split("\n" + WHERE)[0]
        if "also" in line and "services" in line:
            assert told.name == "web-worker"
        assert line.startswith(WHERE), line
        assert all(part in report for part in parts), report
    assert "hunter2" not in reason(told)
    assert "s3cret" not in reason(told)
    plain = planned(tmp_path, {}, case.file.replace("repository_settings: true", "x-a: 1"))
    assert {app.id for app in plain} <= {app.id for app in apps}
    assert not [app for app in apps if app.failed and app is not told]


def test_no_more_is_told_than_anybody_reads(tmp_path: Path) -> None:
    app = one(tmp_path, "".join(f"a{at}: 1\n" for at in range(1000)))
    assert len(reason(app).splitlines()) == 2 * repository.MOST_PROBLEMS + 1
    assert reason(app).endswith(f"{WHERE} 1: has at least 950 more problems")


PATTERN = """
version: 1
defaults: {git_url: https://git.test/web.git, repository_settings: true}
apps:
  - {name: web, git_branch: f/*, ingress: {host: "{{ branch_slug }}.{{ domain }}"}}
  - {name: web}
"""


def test_each_branch_has_what_its_own_file_says(tmp_path: Path) -> None:
    texts = {
        "f/a": "env: {A: a}\nprocesses: {more: {command: [a]}}\n",
        "f/b": "quota: {pods: 100}\nreplicas: 5\n",
        "f/c": "ingress: {rules: [{path: /}]}\n",
        "main": "replicas: 4\n",
    }
    apps = {app.git_branch: app for app in planned(tmp_path, texts, PATTERN)}
    assert apps["f/a"].env == {"A": Variable(value="a")}
    assert [*apps["f/a"].processes] == ["more"]
    assert "quota: is not the repository's to say" in reason(apps["f/b"])
    assert apps["f/b"].replicas == 1
    assert [(rule.host, rule.path) for rule in apps["f/c"].rules] == [("f-c.slipway.test", "/")]
    assert apps["main"].replicas == 4
    assert [app for app in apps.values() if app.failed] == [apps["f/b"]]
    assert {app.head for app in apps.values()} == {HEAD}


def test_a_branch_takes_nothing_from_another_one(tmp_path: Path) -> None:
    texts = {
        "f/a": "ingress: {host: f-b.slipway.test, rules: [{path: /}]}\n",
        "f/b": "ingress: {rules: [{path: /}]}\n",
        "main": "ingress: {host: f-b.web.slipway.test, rules: [{path: /}]}\n",
    }
    apps = {app.git_branch: app for app in planned(tmp_path, texts, PATTERN)}
    # What apps.yml says of hosts wins, also over what another branch would have.
    assert [rule.host for rule in apps["f/a"].rules] == ["f-a.slipway.test"]
    assert "f-b.web.slipway.test is no host of this environment's" in reason(apps["main"])
    assert not apps["f/b"].failed


def test_a_host_that_apps_yml_gives_to_a_branch_of_another_is_not_its_own(tmp_path: Path) -> None:
    file = """
version: 1
defaults: {git_url: https://git.test/web.git, repository_settings: true}
apps:
  - {name: web}
  - {name: shop, git_branch: f/*, ingress: {host: "{{ branch_slug }}.main.web.{{ domain }}"}}
"""
    text = "ingress: {host: f-a.main.web.slipway.test, rules: [{path: /}]}\n"
    [web, *_] = planned(tmp_path, {"main": text, "f/a": None}, file)
    assert "f-a.main.web.slipway.test is the host of shop" in reason(web)


def test_a_host_for_a_repository_that_no_branch_fills_in_is_told(tmp_path: Path) -> None:
    file = PATTERN.replace("{{ branch_slug }}", "{{ branch.split('/')[2] }}")
    with pytest.raises(SlipwayError, match=r"apps\[0\].*cannot be filled in for the branch 'f/br"):
        planned(tmp_path, {"main": None}, file)


def test_services_of_a_repository_add_nothing_to_the_quota(tmp_path: Path) -> None:
    text = "services: {db: {image: postgres, port: 5432}}\n"
    service, app = planned(tmp_path, {"main": text})
    assert (service.id, service.owner and service.owner.name) == ("web-main/web-db", "web")
    assert (service.quota, app.quota) == ({"pods": "0"}, {})
    assert [need.app for need in app.needs] == ["web-db"]


TWO = """
version: 1
defaults: {git_url: https://git.test/web.git, repository_settings: true, namespace: NAMESPACE}
apps:
  - {name: web-a, git_branch: f/*}
  - {name: web, git_branch: f/a}
"""
"""Two apps whose repositories may give a service the same name, web-a-b."""


def two(tmp_path: Path, namespace: str) -> list[App]:
    """The apps with a service of that name each, and a variable that has its password."""

    def read(apps: Sequence[App]) -> list[Said]:
        texts = []
        for app in apps:
            name = "b" if app.name == "web-a" else "a-b"
            service = f"{{image: a, port: 1, env: {{P: {{password: {app.name}}}}}}}"
            own = f"{{password: {app.name}, app: web-a-b}}"
            texts.append(f"services: {{{name}: {service}}}\nenv: {{P: {own}}}\n")
        return [Said(text.encode(), head=HEAD) for text in texts]

    path = tmp_path / "apps.yml"
    path.write_text(TWO.replace("NAMESPACE", namespace))
    return plan(path, find_branches=lambda _: [Matches(["f/a"])], read_settings=read)


def test_an_app_means_its_own_service_by_a_name_that_others_have_too(tmp_path: Path) -> None:
    apps = two(tmp_path, '"{{ name }}-{{ branch_slug }}"')
    assert [app.name for app in apps] == ["web-a-b", "web-a", "web-a-b", "web"]
    assert not [app for app in apps if app.failed]
    for service, app in (apps[:2], apps[2:]):
        assert reached(app, Reach("web-a-b"), apps) is service


def test_a_service_means_whose_it_is_by_a_name_that_others_have_too(tmp_path: Path) -> None:
    file = """
version: 1
defaults: {repository_settings: true}
apps:
  - {name: web, namespace: one, git_url: https://git.test/one.git}
  - {name: web, namespace: two, git_url: https://git.test/two.git}
"""
    text = """
env: {P: {password: web}}
services: {db: {image: a, port: 1, env: {P: {password: web, app: web}}}}
"""
    apps = planned(tmp_path, {"main": text}, file)
    assert [app.id for app in apps] == ["one/web-db", "one/web", "two/web-db", "two/web"]
    assert not [app for app in apps if app.failed]
    assert reached(apps[2], Reach("web"), apps) is apps[3]


def test_of_two_with_one_id_the_one_that_failed_is_told_apart(tmp_path: Path) -> None:
    apps = two(tmp_path, '"of-{{ branch_slug }}"')
    assert [app.id for app in apps if app.failed] == ["of-f-a/web-a-b of f/*"]
    assert [app.id for app in apps if not app.failed] == [
        "of-f-a/web-a",
        "of-f-a/web-a-b",
        "of-f-a/web",
    ]


SHARED = """
version: 1
defaults: {git_url: https://git.test/web.git, repository_settings: true, namespace: shared}
apps:
  - {name: web}
  - {name: web-worker}
  - {name: web-db, volumes: {data: /data}, processes: {a: {command: [a]}}}
"""


@pytest.mark.parametrize(
    "text",
    [
        "processes: {worker: {command: [a]}}\n",
        "jobs: {db-a: {command: [a]}}\n",
        "volumes: {db-data: /data}\n",
    ],
)
def test_a_name_that_apps_yml_gives_is_not_taken_by_who_comes_first(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "apps.yml").write_text(SHARED)

    def read(apps: Sequence[App]) -> list[Said]:
        return [Said((text if app.name == "web" else "port: 80\n").encode()) for app in apps]

    apps = plan(tmp_path / "apps.yml", read_settings=read)
    assert [app.name for app in apps if app.failed] == ["web"]


def test_what_cannot_be_read_fails_the_branch_alone(tmp_path: Path) -> None:
    (tmp_path / "apps.yml").write_text(PATTERN)

    def read(apps: Sequence[App]) -> list[Said]:
        return [Said(problem="it is a link" if app.git_branch == "main" else "") for app in apps]

    apps = plan(
        tmp_path / "apps.yml",
        find_branches=lambda samples: [Matches(["f/a"]) for _ in samples],
        read_settings=read,
    )
    assert [reason(app) for app in apps] == ["", "it is a link"]


def test_the_setting_wants_a_repository(tmp_path: Path) -> None:
    file = FILE.replace("{name", "{image: a, name")
    with pytest.raises(SlipwayError, match=r"repository_settings: needs a repository"):
        planned(tmp_path, {}, file)
    [app] = planned(
        tmp_path,
        {},
        file.replace(
            "version: 1\ndefaults: {", "version: 1\ndefaults: {repository_settings: true, "
        ).replace(", repository_settings: true}", "}"),
    )
    assert not app.failed


def test_the_rules_are_a_schema_of_what_is_left_of_that_of_apps_yml() -> None:
    rules = repository.rules()
    Draft7Validator.check_schema(rules)
    assert rules["properties"].keys().isdisjoint(rules["x-apps-only"])
    assert "quota" in rules["x-apps-only"]
    assert "git_auth" not in rules["definitions"]
    assert "file" not in rules["definitions"]["config_file"]["properties"]
