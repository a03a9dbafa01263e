"""Every mistake in apps.yml is found, at its line, with the way to mend it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError

APP = "{name: web, git_url: ../web}"


class Case(NamedTuple):
    """A bad file, and for each mistake in it the parts of its report, in order."""

    text: str
    mistakes: list[tuple[str, ...]]


def app(lines: str) -> str:
    """A file with one app: a name, a git_url and these further lines (line 5 onwards)."""
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return f"version: 1\napps:\n  - name: web\n    git_url: ../web\n{indented}"


CASES = {
    "empty file": Case("", [("apps.yml:1:", "is empty")]),
    "a list at the top": Case("- name: web\n", [("apps.yml:1:", "a list", "must be a mapping")]),
    "no version": Case("apps: []\n", [("apps.yml:1:", "lacks the key version", "version: 1")]),
    "a version to come": Case(
        "version: 2\napps: []\n", [("apps.yml:1 version:", "is 2", "write 1")]
    ),
    "no apps": Case("version: 1\n", [("apps.yml:1:", "lacks the key apps")]),
    "apps left empty": Case("version: 1\napps:\n", [("apps.yml:2 apps:", "is empty")]),
    "unknown key at the top": Case(
        "version: 1\nappps: []\napps: []\n", [("apps.yml:2 appps:", "unknown key", "write apps")]
    ),
    "unknown key of an app": Case(
        app("git_brnach: main"), [("apps.yml:5 apps[0].git_brnach:", "unknown key", "git_branch")]
    ),
    "key with a dash": Case(app("git-branch: main"), [("git-branch:", "write git_branch")]),
    "key like no other": Case(app("zzz: 1"), [("zzz:", "the keys here are name, git_url,")]),
    "unknown key in the defaults": Case(
        f"version: 1\ndefaults:\n  prot: 80\napps: [{APP}]\n",
        [("apps.yml:3 defaults.prot:", "write port")],
    ),
    "name in the defaults": Case(
        f"version: 1\ndefaults: {{name: web}}\napps: [{APP}]\n", [("defaults.name:", "unknown key")]
    ),
    "defaults left empty": Case(
        f"version: 1\ndefaults:\napps: [{APP}]\n", [("apps.yml:2 defaults:", "is empty")]
    ),
    "no name": Case(
        "version: 1\napps:\n  - git_url: ../web\n",
        [("apps.yml:3 apps[0]:", "lacks the key name", "add name: greeter")],
    ),
    "no git_url": Case(
        "version: 1\napps:\n  - name: web\n",
        [("apps.yml:3 apps[0]:", "lacks the key git_url", "or to the defaults")],
    ),
    "an app that is text": Case("version: 1\napps: [web]\n", [("apps[0]:", "reads as text")]),
    "name in capitals": Case(
        "version: 1\napps: [{name: Web, git_url: x}]\n", [("apps[0].name:", "'Web'", "lower-case")]
    ),
    "name with a dot": Case(
        "version: 1\napps: [{name: a.b, git_url: x}]\n", [("name:", "DNS label")]
    ),
    "name with a digit first": Case(
        "version: 1\napps: [{name: 1a, git_url: x}]\n", [("name:", "a letter first")]
    ),
    "name that YAML takes for a boolean": Case(
        "version: 1\napps: [{name: on, git_url: x}]\n",
        [("name:", "is on, which YAML reads as a boolean", "in quotes, 'on'")],
    ),
    "name too long": Case(
        f"version: 1\napps: [{{name: {'a' * 51}, git_url: x}}]\n", [("51 characters", "at most 50")]
    ),
    "password in git_url": Case(
        "version: 1\napps: [{name: web, git_url: 'https://me:secret@git.test/web'}]\n",
        [("apps[0].git_url:", "holds a password")],
    ),
    "git_url that git would take for an option": Case(
        "version: 1\napps: [{name: web, git_url: --upload-pack=x}]\n",
        [("git_url:", "must be a URL")],
    ),
    "folder above the repository": Case(
        app("git_path: ../orders"),
        [("apps.yml:5 apps[0].git_path:", "'../orders'", "folder inside the", "services/orders")],
    ),
    "folder above the repository, by a way round": Case(
        app("git_path: services/../../orders"), [("git_path:", "no '..'")]
    ),
    "folder of this machine": Case(app("git_path: /orders"), [("git_path:", "no '/' in front")]),
    "folder of git's own": Case(app("git_path: sub/.Git/hooks"), [("git_path:", "no '.git'")]),
    "folder as Windows has it": Case(app("git_path: sub\\orders"), [("git_path:", "no '\\'")]),
    "folder left empty": Case(app("git_path:"), [("git_path:", "is empty")]),
    "folder without a name": Case(app("git_path: ''"), [("git_path:", "must be a folder")]),
    "folder that is a list": Case(app("git_path: [a]"), [("git_path:", "must be text")]),
    "folder over two lines": Case(app('git_path: "a\\nb"'), [("git_path:", "must be a folder")]),
    "folder above the repository in the defaults": Case(
        f"version: 1\ndefaults:\n  git_path: ..\napps: [{APP}]\n",
        [("apps.yml:3 defaults.git_path:", "no '..'")],
    ),
    "branch with a space": Case(app("git_branch: my branch"), [("git_branch:", "one git branch")]),
    "branch with a '?'": Case(
        app("git_branch: 'feature/?'"), [("git_branch:", "pattern with '*'")]
    ),
    "lifecycle of one branch": Case(
        app("branches: {max: 3}"), [("branches:", "for a git_branch that is a pattern", "'*'")]
    ),
    "grace without a unit": Case(
        app("git_branch: 'f/*'\nbranches: {grace: '24'}"), [("grace:", "'24'", "m, h or d")]
    ),
    "one namespace for all branches": Case(
        app("git_branch: 'f/*'\nnamespace: shop"),
        [("apps.yml:6 apps[0].namespace:", "same for every branch", "shop-{{ branch_slug }}")],
    ),
    "value of a chart that JSON cannot have": Case(
        app("helm: [{source: chart, values: {a: [{b: .nan}]}}]"),
        [("helm[0].values.a[0].b:", "nan is no number of JSON", "in quotes")],
    ),
    "one path for all branches": Case(
        app("git_branch: 'f/*'\ningress: {host: a.test, rules: [{path: /web/}]}"),
        [("rules[0].path:", "same for every branch of f/*", "/web/{{ branch_slug }}/")],
    ),
    "unknown variable": Case(
        app("namespace: 'shop-{{ brnch }}'"),
        [("namespace:", "unknown variable brnch", "are name, branch, branch_slug")],
    ),
    "commit in a path": Case(
        app("ingress: {host: a.test, rules: [{path: '/{{ commit }}/'}]}"),
        [("rules[0].path:", "unknown variable commit")],
    ),
    "template left open": Case(app("env: {A: '{{ branch'}"), [("env.A:", "is no template")]),
    "namespace wrong once filled in": Case(
        app("namespace: 'kube-{{ name }}'"), [("namespace:", "'kube-web'", "not begin with kube-")]
    ),
    "path wrong once filled in": Case(
        app("git_branch: a@b\ningress: {host: a.test, rules: [{path: '//{{ branch }}'}]}"),
        [("rules[0].path:", "no '//'")],
    ),
    "path with braces once filled in": Case(
        app("git_branch: a{{b\ningress: {host: a.test, rules: [{path: '/{{ branch }}/'}]}"),
        [("rules[0].path:", "'/a{{b/'", "hold only letters")],
    ),
    "namespace with braces once filled in": Case(
        app("git_branch: a{{b\nnamespace: x-{{ branch }}"), [("namespace:", "'x-a{{b'", "label")]
    ),
    "template that the branch does not fit": Case(
        app("ingress: {host: a.test, rules: [{path: \"/{{ branch.split('/')[1] }}/\"}]}"),
        [("apps[0]:", "cannot be filled in for the branch 'main'", "exclude")],
    ),
    "path too long": Case(
        app(f"ingress: {{host: a.test, rules: [{{path: /{'x' * 1024}}}]}}"),
        [("rules[0].path:", "1025 characters", "at most 1024")],
    ),
    "path with a newline at its end": Case(
        app('ingress: {host: a.test, rules: [{path: "/a\\n"}]}'),
        [("rules[0].path:", "'/a\\n'", "hold only letters")],
    ),
    "timeout beyond counting": Case(
        app("ingress: {host: a.test, rules: [{path: /}], timeout: 9999999999s}"),
        [("timeout:", "'9999999999s'", "at most 9 digits")],
    ),
    "host wrong once filled in": Case(
        app("git_branch: A_b\ningress: {host: '{{ branch }}.test', rules: [{path: /}]}"),
        [("ingress.host:", "'A_b.test'", "lower case")],
    ),
    "two kinds of git_auth": Case(
        app("git_auth: {token: a, ssh_key: b}"), [("git_auth:", "both", "one of the keys token")]
    ),
    "git_auth without a kind": Case(
        app("git_auth: {user: me}"), [("git_auth:", "lacks a key", "token, ssh_key and")]
    ),
    "token for ssh": Case(
        "version: 1\napps:\n  - name: web\n    git_url: git@git.test:web.git\n"
        "    git_auth: {token: db_password}\n",
        [("apps.yml:5 apps[0].git_auth.token:", "does not go with git_url", "https://")],
    ),
    "key for HTTPS": Case(
        "version: 1\napps:\n  - name: web\n    git_url: https://git.test/web.git\n"
        "    git_auth: {ssh_key: db_password}\n",
        [("git_auth.ssh_key:", "does not go with", "user@host:path")],
    ),
    "secret that is a value": Case(
        app("env: {A: {secret: 's3cr3t!'}}"), [("env.A.secret:", "stays in the vault")]
    ),
    "unknown secret": Case(
        app("env: {A: {secret: db_pasword}}"),
        [("apps.yml:5 apps[0].env.A.secret:", "names the secret db_pasword", "db_password")],
    ),
    "unknown secret of a build": Case(
        app("build: {buildx: {secrets: {npm: other}}}"),
        [("build.buildx.secrets.npm:", "secret other", "add other to slipway_secrets")],
    ),
    "a Java that there is no JDK of": Case(
        app("build: {jib: {java: 11}}"), [("build.jib.java:", "is 11", "choose 17 or 21 or 25")]
    ),
    "logins with mistakes": Case(
        app(
            "registry_auth:\n"
            "      https://r.test: {user: me, password: db_password}\n"
            "      r.test: {user: me, password: other}\n"
            "      s.test: {user: 'm:e'}"
        ),
        [
            ("registry_auth", "must be the host of a registry"),
            ("registry_auth.s.test", "password"),
            ("registry_auth.s.test.user", "without spaces and ':'"),
        ],
    ),
    "a login with a password that nobody knows": Case(
        app("registry_auth: {r.test: {user: me, password: other}}"),
        [("registry_auth.r.test.password:", "secret other", "add other to slipway_secrets")],
    ),
    "values in place of the names of secrets": Case(
        app(
            "registry_auth:\n"
            "  s.test: 'me:pw'\n"
            "  r.test: {user: me, password: 'no name!'}\n"
            "env:\n"
            "  A: {secret: 'no name!'}\n"
            "  B: {secret: 12345}\n"
            "  C: {password: 'no name!'}\n"
            "git_auth: no name!\n"
        ),
        [
            ("registry_auth.s.test: is ***, which YAML reads as text",),
            ("registry_auth.r.test.password: is ***\n", "must be the name of an entry"),
            ("env.A.secret: is ***\n", "must be the name of an entry"),
            ("env.B.secret: is ***, which YAML reads as a number", "in quotes, '***'"),
            ("env.C.password: is ***\n", "the password itself is drawn"),
            ("git_auth: is ***, which YAML reads as text",),
        ],
    ),
    "unknown secret of a file": Case(
        app("config_files: [{path: /a, secret: other}]"), [("config_files[0].secret:", "other")]
    ),
    "unknown secret of a host": Case(
        "version: 1\nhosts:\n  a.test: {tls: {certificate: db_password, key: other}}\n"
        f"apps: [{APP}]\n",
        [("apps.yml:3 hosts.a.test.tls.key:", "secret other")],
    ),
    "unknown kind of certificate": Case(
        f"version: 1\nhosts: {{a.test: {{tls: letsencrypt}}}}\napps: [{APP}]\n",
        [("apps.yml:2 hosts.a.test.tls:", "'letsencrypt'", "local-ca")],
    ),
    "certificate without a key": Case(
        f"version: 1\nhosts: {{a.test: {{tls: {{certificate: a}}}}}}\napps: [{APP}]\n",
        [("hosts.a.test.tls:", "lacks the key key")],
    ),
    "host in capitals among the hosts": Case(
        f"version: 1\nhosts: {{A.test: {{}}}}\napps: [{APP}]\n", [("hosts.A.test:", "lower case")]
    ),
    "variable without a source": Case(
        app("env: {A: {config_map: shared}}"), [("env.A:", "{config_map: name, key: key}")]
    ),
    "variable that is a list": Case(app("env: {A: [1]}"), [("env.A:", "must be text", "{secret:")]),
    "config file that is not there": Case(
        app("config_files: [{path: /a, file: nowhere.conf}]"),
        [("config_files[0].file:", "nowhere.conf does not exist", "from the folder of apps.yml")],
    ),
    "chart that is not there": Case(
        app("helm: [{file: charts/none}]"), [("helm[0].file:", "charts/none does not exist")]
    ),
    "manifest from nowhere": Case(
        app("manifests: [{}]"), [("manifests[0]:", "content, source and")]
    ),
    "kinds beyond those of a branch for its own file": Case(
        app("manifests: [{source: a.yaml, allow_kinds: [ClusterRole]}]"),
        [("apps.yml:5 apps[0].manifests[0].allow_kinds:", "not for what is in the repository")],
    ),
    "a user and capabilities that Pod Security refuses": Case(
        app("security: {run_as_user: 0, capabilities: [NET_BIND_SERVICE, CHOWN, SYS_ADMIN]}"),
        [
            ("apps.yml:5 apps[0].security.run_as_user:", "root", "add pod_security: baseline"),
            ("capabilities[1]:", "CHOWN", "NET_BIND_SERVICE alone", "pod_security: baseline"),
            ("capabilities[2]:", "SYS_ADMIN", "add pod_security: privileged"),
        ],
    ),
    "a capability that baseline refuses": Case(
        app("pod_security: baseline\nsecurity: {run_as_user: 0, capabilities: [CHOWN, BPF]}"),
        [("capabilities[1]:", "BPF is refused by pod_security: baseline", "privileged")],
    ),
    "a level that there is not": Case(
        app("pod_security: none"), [("pod_security:", "'none'", "restricted or baseline")]
    ),
    "a branch's files where any pod goes": Case(
        app("pod_security: privileged\nhelm: [{source: chart}]"),
        [("helm[0].source:", "who can push would have nodes", "pod_security: baseline")],
    ),
    "two levels in one namespace": Case(
        f"version: 1\ndefaults: {{namespace: shop}}\napps:\n  - {APP}\n"
        "  - {name: db, git_url: ../db, pod_security: baseline}\n",
        [("apps.yml:5 apps[1].pod_security:", "apps.yml:4 apps[0]", "is restricted", "same")],
    ),
    "kinds that are none": Case(
        app("helm: [{file: /, allow_kinds: [clusterroles]}]"),
        [("helm[0].allow_kinds[0]:", "must be a kind, for example ClusterRole")],
    ),
    "manifest with an unknown variable": Case(
        app("manifests: [{content: 'name: {{ nmae }}'}]"),
        [("manifests[0].content:", "unknown variable nmae", "commit, image")],
    ),
    "memory in words": Case(
        app("resources: {limits: {memory: 1 GB}}"), [("limits.memory:", "'1 GB'", "Ki, Mi or Gi")]
    ),
    "unknown resource": Case(
        app("resources: {limits: {ram: 1Gi}}"), [("limits.ram:", "unknown key", "cpu, memory")]
    ),
    "unknown probe": Case(
        app("probes: {lively: {path: /}}"), [("probes.lively:", "unknown key", "liveness")]
    ),
    "probe every 0 s": Case(
        app("probes: {liveness: {period: 0}}"), [("liveness.period:", "at least 1")]
    ),
    "capability with its prefix": Case(
        app("security: {capabilities: [cap_net_admin]}"),
        [("capabilities[0]:", "'cap_net_admin'", "without CAP_")],
    ),
    "root by name": Case(
        app("security: {run_as_user: root}"), [("run_as_user:", "reads as text", "a whole number")]
    ),
    "archive outside the repository": Case(
        app("build: {prebuilt: {archive: ../x.tar}}"), [("archive:", "inside the repository")]
    ),
    "prebuilt without an archive": Case(
        app("build: prebuilt"), [("build:", "'prebuilt'", "choose jib or buildx")]
    ),
    "body size in words": Case(
        app("ingress: {host: a.test, max_body_size: 10 MB, rules: [{path: /}]}"),
        [("max_body_size:", "'10 MB'", "k, m or g")],
    ),
    "head of an answer in megabytes": Case(
        app("ingress: {host: a.test, max_header_size: 1m, rules: [{path: /}]}"),
        [("max_header_size:", "'1m'", "at most 3 digits and k")],
    ),
    "branch that is a number": Case(
        app("git_branch: 1.10"),
        [("git_branch:", "is 1.10", "with a fraction", "in quotes, '1.10'")],
    ),
    "namespace that is an octal number": Case(
        app("namespace: 0644"),
        [("namespace:", "is 0644", "the number 420", "'0644' in quotes if it is text")],
    ),
    "content that is a number": Case(
        app("config_files: [{path: /a, content: 5}]"),
        [("config_files[0].content:", "is 5, which YAML reads as a number", "in quotes, '5'")],
    ),
    "port in another base": Case(
        app("port: 0x1F90"),
        [("apps.yml:5 apps[0].port:", "is 0x1F90", "the number 8080", "write 8080")],
    ),
    "user that is an octal number": Case(
        app("security: {run_as_user: 01000}"), [("run_as_user:", "01000", "the number 512")]
    ),
    "replicas with a sign": Case(app("replicas: +2"), [("replicas:", "is +2", "write 2")]),
    "replicas by the clock": Case(app("replicas: 12:30"), [("replicas:", "'12:30'", "as text")]),
    "port with a digit too many for an octal number": Case(
        app("port: 08080"), [("port:", "'08080'", "a whole number")]
    ),
    "websocket in words": Case(
        app("ingress: {host: a.test, rules: [{path: /}], websocket: please}"),
        [("websocket:", "'please'", "must be true or false")],
    ),
    "namespace of Kubernetes' own": Case(
        app("namespace: kube-system"), [("namespace:", "does not begin with kube-")]
    ),
    "amounts that there are not": Case(
        app(
            "quota:\n"
            "  requests.memory: -1\n"
            "  limits.memory: .inf\n"
            "  requests.storage: .nan\n"
            "  requests.cpu: .nan\n"
        ),
        [
            ("apps.yml:6", "requests.memory: is -1", "must be at least 0"),
            ("apps.yml:7", "limits.memory: is .inf", "must be a number of bytes"),
            ("apps.yml:8", "requests.storage: is .nan", "must be a number of bytes"),
            ("apps.yml:9", "requests.cpu: is NaN", "must be at least 0"),
        ],
    ),
    "more cores than there are": Case(
        app("quota: {requests.cpu: .inf}"), [("requests.cpu:", "must be at most 100000")]
    ),
    "limits of nothing": Case(
        app(
            "resources: {limits: {memory: 0Mi}}\n"
            "processes: {worker: {command: [a], resources: {limits: {cpu: 0}}}}\n"
        ),
        [
            ("apps.yml:5 apps[0].resources.limits.memory: is 0Mi", "write more, or remove it"),
            ("apps.yml:6 apps[0].processes.worker.resources.limits.cpu: is 0", "write more"),
        ],
    ),
    "names that begin as what is free": Case(
        app(
            "processes: {x-a: {command: [a]}}\n"
            "jobs: {x-b: {command: [a]}}\n"
            "volumes: {x-c: /srv}\n"
            "services: {x-d: {image: redis:8, port: 1}}\n"
            "service: {ports: {x-e: {port: 81}}}\n"
        ),
        [
            ("apps.yml:5 apps[0].processes", "x-a", "no x- before it"),
            ("apps.yml:6 apps[0].jobs", "x-b", "no x- before it"),
            ("apps.yml:7 apps[0].volumes", "x-c", "no x- before it"),
            ("apps.yml:8 apps[0].services", "x-d", "no x- before it"),
            ("apps.yml:9 apps[0].service.ports", "x-e", "no x- before them"),
        ],
    ),
    "namespace with a dash at its end": Case(app("namespace: web-"), [("namespace:", "DNS label")]),
    "unknown builder": Case(app("build: jibb"), [("build:", "'jibb'", "write jib")]),
    "builder that is a number": Case(app("build: 3"), [("build:", "must be text or a mapping")]),
    "a Service of what it is not": Case(
        app(
            "service:\n"
            "  address: 172.28.1.20\n"
            "  ports: {a: {port: 81, node_port: 30081}, b: {port: 81}, http: {port: 82}}\n"
            "ingress: {host: a.test, rules: [{path: /}]}"
        ),
        [
            ("apps.yml:6", "service.address:", "is for a LoadBalancer"),
            ("ports.a.node_port:", "is for a NodePort"),
            ("ports.http:", "the port that its routes lead to"),
            ("ports.b.port:", "81 is also a"),
        ],
    ),
    "a Service with a port that is its routes'": Case(
        app(
            "service: {ports: {a: {port: 80}, b: {port: 80, protocol: UDP}}}\n"
            "ingress: {host: a.test, rules: [{path: /}]}"
        ),
        [("ports.a.port:", "80 is also that of its routes")],
    ),
    "routes to a port that speaks HTTPS": Case(
        app("scheme: https\ningress: {host: a.test, rules: [{path: /}]}"),
        [("apps.yml:5 apps[0].scheme:", "asked over HTTP", "the other one in service.ports")],
    ),
    "a scheme that nobody knows": Case(app("scheme: ftp"), [("scheme:", "choose http or https")]),
    "a certificate in the way of files": Case(
        app(
            "certificate: {path: /etc/app}\n"
            "config_files:\n"
            "  - {path: /etc/app/a, content: a}\n"
            "  - {path: /etc/app.conf, content: a}\n"
            "  - {path: /etc/app, content: a}"
        ),
        [
            ("apps.yml:7", "config_files[0].path:", "in the folder of the certificate, /etc/app"),
            ("apps.yml:7", "config_files[0].path:", "below a config file, /etc/app"),
            ("apps.yml:9", "config_files[2].path:", "is also at apps.yml:5 apps[0].certificate"),
        ],
    ),
    "a certificate for no hosts": Case(
        app("certificate: {path: etc, hosts: ['*.a.test', '{{ brnach }}.a.test']}"),
        [("certificate.path:", "an absolute path"), ("hosts[0]:", "without a port, a path or")],
    ),
    "a certificate for a host that cannot be filled in": Case(
        app("certificate: {hosts: ['{{ brnach }}.a.test']}"),
        [("certificate.hosts[0]:", "brnach")],
    ),
    "a certificate for a host that is none once it is filled in": Case(
        app("certificate: {hosts: ['{{ branch }}_.a.test']}"),
        [("certificate.hosts[0]:", "'main_.a.test'", "must be a host name")],
    ),
    "an address for every branch": Case(
        app(
            "git_branch: f/*\nservice: {type: NodePort, ports: {a: {port: 81, node_port: 30081}}}\n"
        ),
        [("node_port:", "is the same for every branch", "leave it out")],
    ),
    "an address for two": Case(
        "version: 1\ndefaults: {git_url: ../a, service: {type: LoadBalancer}}\napps:\n"
        "  - {name: a, service: {address: 172.28.1.20}}\n"
        "  - {name: b, service: {address: 172.28.1.20}}\n",
        [("apps.yml:5 apps[1].service.address:", "172.28.1.20 is also that of apps.yml:4")],
    ),
    "a Service by other words": Case(
        app(
            "service: {type: ExternalName, ports: {A: {port: 0, protocol: SCTP}}, address: a.test}"
        ),
        [
            ("service.type:", "'ExternalName'", "choose ClusterIP or NodePort"),
            ("service.address:", "IPv4"),
            ("ports.A:", "lower-case"),
            ("ports.A.port:", "at least 1"),
            ("ports.A.protocol:", "'SCTP'"),
        ],
    ),
    "an image with what is built": Case(
        app("image: redis:8\nbuild: jib\nbase_image: a:1"),
        [("build:", "no meaning with image"), ("base_image:", "no meaning with image")],
    ),
    "an image of the bundle": Case(
        app("image: bundle.slipway.internal/jre:21"), [("image:", "to build on")]
    ),
    "an image in an archive": Case(
        app("image: tar:///srv/a.tar"), [("image:", "without a scheme")]
    ),
    "an image with half a digest": Case(
        app("image: redis@sha256:12ab"), [("image:", "tag or digest")]
    ),
    "an image in capitals": Case(app("image: docker.io/Team/web"), [("image:", "'docker.io/Team")]),
    "an image alone with what needs a repository": Case(
        """version: 1
apps:
  - name: redis
    image: redis:8
    git_branch: feature/*
    git_path: deploy
    manifests: [{source: a.yaml}, {content: ""}]
    config_files: [{path: /a, source: a}]
    helm: [{source: chart}]
""",
        [
            ("apps.yml:5", "git_branch:", "a pattern needs a repository"),
            ("apps.yml:6", "git_path:", "needs a repository", "or add the git_url"),
            ("manifests[0].source:", "a.yaml is to come from a repository", "file or content"),
            ("config_files[0].source:", "there is none"),
            ("helm[0].source:", "chart is to come from a repository"),
        ],
    ),
    "two builders": Case(app("build: {jib: {}, buildx: {}}"), [("build:", "both", "one of")]),
    "no builder": Case(app("build: {}"), [("build:", "lacks a key", "jib, buildx and prebuilt")]),
    "option of another builder": Case(
        app("build: {jib: {context: .}}"), [("build.jib.context:", "keys here are module, args")]
    ),
    "context outside the repository": Case(
        app("build: {buildx: {context: ../other}}"), [("context:", "inside the repository")]
    ),
    "build argument with a dash": Case(
        app("build: {buildx: {args: {WITH-DOCS: x}}}"), [("args.WITH-DOCS:", "letters, digits")]
    ),
    "arguments of Maven as one text": Case(
        app("build: {jib: {args: -Pfast}}"), [("build.jib.args:", "as text", "must be a list")]
    ),
    "relative archive as base": Case(
        app("base_image: tar://base.tar"), [("base_image:", "tar:///path")]
    ),
    "port out of range": Case(app("port: 99999"), [("apps.yml:5 apps[0].port:", "at most 65535")]),
    "port as text": Case(app("port: '80'"), [("port:", "as text", "a whole number")]),
    "no replicas": Case(app("replicas: 0"), [("replicas:", "is 0", "at least 1")]),
    "relative health path": Case(app("health_path: healthz"), [("health_path:", "begin with '/'")]),
    "nothing in the environment": Case(
        app("env:\n  HOME: ~\n  PATH: null\n  USER:"),
        [
            ("apps.yml:6 apps[0].env.HOME:", "is ~", "nothing to YAML", "in quotes, '~', if it is"),
            ("apps.yml:7 apps[0].env.PATH:", "is null", "in quotes, 'null', if it is text"),
            ("apps.yml:8 apps[0].env.USER:", "is empty", "give it a value or remove it"),
        ],
    ),
    "nothing for a build argument and a label": Case(
        app("build: {buildx: {args: {A: ~}}}\nnode_selector: {a: Null}"),
        [("args.A:", "is ~", "in quotes"), ("node_selector.a:", "is Null", "in quotes")],
    ),
    "variable with a space": Case(app("env: {'A B': x}"), [("env.A B:", "a letter or '_' first")]),
    "config file at a relative path": Case(
        app("config_files: [{path: a.conf, content: x}]"), [("path:", "must be an absolute path")]
    ),
    "config file without text": Case(
        app("config_files: [{path: /a.conf}]"),
        [("config_files[0]:", "lacks a key", "source, file")],
    ),
    "config file with two texts": Case(
        app("config_files: [{path: /a, content: x, source: y}]"), [("config_files[0]:", "both")]
    ),
    "config file from outside the repository": Case(
        app("config_files: [{path: /a, source: ../../etc/passwd}]"), [("source:", "inside the rep")]
    ),
    "two config files at one path": Case(
        app("config_files:\n  - {path: /a, content: x}\n  - {path: /a, content: y}"),
        [("apps.yml:7 apps[0].config_files[1].path:", "also at apps.yml:6", "keep one")],
    ),
    "host with a port": Case(
        app("ingress: {host: 'a.test:80', rules: [{path: /}]}"), [("host:", "without a port")]
    ),
    "ingress without a host": Case(
        app("ingress: {rules: [{path: /}]}"), [("ingress:", "lacks the key host")]
    ),
    "ingress without rules": Case(
        app("ingress: {host: a.test}"), [("ingress:", "lacks the key rules", "{path: /web/}")]
    ),
    "empty rules": Case(app("ingress: {host: a.test, rules: []}"), [("rules:", "is empty")]),
    "path without a slash": Case(
        app("ingress: {host: a.test, rules: [{path: web}]}"), [("path:", "must begin with '/'")]
    ),
    "path that the ingress controller refuses": Case(
        app("ingress: {host: a.test, rules: [{path: /var/www}]}"),
        [("path:", "/etc, /root or /var")],
    ),
    "path with a blank": Case(
        app("ingress: {host: a.test, rules: [{path: /a%20b/%3B/, rewrite: /c%20d/}]}"),
        [("rules[0].path:", "has %20, %3B in it", "write /a-b/-/")],
    ),
    "path with a blank that is not of ASCII": Case(
        app("ingress: {host: a.test, rules: [{path: /a%E3%80%80b/}]}"),
        [("rules[0].path:", "'/a\\u3000b/'", "hold only letters")],
    ),
    "path with a slash as a byte": Case(
        app("ingress: {host: a.test, rules: [{path: /a%2Fb/}]}"), [("path:", "%2F", "/a-b/")]
    ),
    "path with a percent sign": Case(
        app("ingress: {host: a.test, rules: [{path: /100%/}, {path: /100%25/}]}"),
        [("rules[0].path:", "bytes as %C3")],
    ),
    "path with a percent sign as a byte": Case(
        app("ingress: {host: a.test, rules: [{path: /100%25/}]}"), [("path:", "%25", "/100-/")]
    ),
    "path that is no UTF-8": Case(
        app("ingress: {host: a.test, rules: [{path: /caf%E9/}]}"),
        [("rules[0].path:", "bytes in it that are no UTF-8", "é as %C3%A9")],
    ),
    "path upwards as bytes": Case(
        app("ingress: {host: a.test, rules: [{path: /a/%2E%2E/b/}]}"), [("path:", "no '..'")]
    ),
    "path of more bytes than letters": Case(
        app(f"ingress: {{host: a.test, rules: [{{path: /{'é' * 600}}}]}}"),
        [("path:", "has 1,201 bytes", "at most 1024")],
    ),
    "path with a blank once filled in": Case(
        app("ingress: {host: a.test, rules: [{path: '/{{ name }}%20/'}]}"),
        [("path:", "%20", "/web-/")],
    ),
    "host of other letters": Case(
        app("ingress: {host: müller.test, rules: [{path: /}]}"), [("host:", "punycode (xn--...)")]
    ),
    "two ways to write a path": Case(
        "version: 1\ndefaults: {git_url: x, ingress: {host: a.test}}\napps:\n"
        "  - {name: one, ingress: {rules: [{path: /café/}]}}\n"
        "  - {name: two, ingress: {rules: [{path: /caf%c3%a9/}]}}\n",
        [("apps[1].ingress.rules[0].path:", "a.test/caf%C3%A9/ is already", "apps.yml:4")],
    ),
    "unknown type of path": Case(
        app("ingress: {host: a.test, rules: [{path: /, path_type: prefix}]}"),
        [("path_type:", "'prefix'", "write Prefix")],
    ),
    "rewrite of a prefix without a slash": Case(
        app("ingress:\n  host: a.test\n  rules:\n    - path: /web\n      rewrite: /"),
        [("apps.yml:9 apps[0].ingress.rules[0].rewrite:", "not so '/web'", "path: /web/ and")],
    ),
    "rewrite to another service's annotation": Case(
        app("ingress: {host: a.test, rules: [{path: /a/, rewrite: '/;serviceName=b'}]}"),
        [("rewrite:", "hold only letters")],
    ),
    "one app twice": Case(
        f"version: 1\napps:\n  - {APP}\n  - {APP}\n",
        [("apps.yml:4 apps[1]:", "web in namespace web-main", "apps.yml:3 apps[0]")],
    ),
    "two branches with one slug": Case(
        "version: 1\napps:\n  - {name: web, git_url: x, git_branch: a/b}\n"
        "  - {name: web, git_url: x, git_branch: a-b}\n",
        [("apps[1]:", "web in namespace web-a-b is also", "a namespace of its own")],
    ),
    "two apps at one path": Case(
        "version: 1\ndefaults: {git_url: x, ingress: {host: a.test}}\napps:\n"
        "  - {name: one, ingress: {rules: [{path: /x/}]}}\n"
        "  - {name: two, ingress: {rules: [{path: /x/, path_type: Exact}]}}\n",
        [("apps.yml:5 apps[1].ingress.rules[0].path:", "a.test/x/ is already", "apps.yml:4")],
    ),
    "one key twice": Case(
        app("port: 80\nport: 81"), [("apps.yml:6 apps[0].port:", "again, after line 5")]
    ),
    "merge of a text": Case(app("<<: words"), [("apps.yml:5 apps[0]:", "no mapping")]),
    "mistakes in all places at once": Case(
        "version: 1\napps:\n"
        "  - {name: Web, git_url: x}\n"
        "  - {name: web, git_url: x, port: 0, replicas: many}\n"
        "  - {name: api, git_url: x}\n"
        "  - {name: api, git_url: x}\n",
        [
            ("apps.yml:3 apps[0].name:",),
            ("apps.yml:4 apps[1].port:",),
            ("apps.yml:4 apps[1].replicas:",),
            ("apps.yml:6 apps[3]:", "is also at apps.yml:5 apps[2]"),
        ],
    ),
    "not YAML": Case("version: 1\napps: [\n", [("apps.yml:3:", "is not YAML")]),
    "a tab": Case("version: 1\napps:\n\t- name: web\n", [("apps.yml:3:", "is not YAML", "token")]),
    "a value that Ansible Vault encrypted": Case(
        app("port: 0\nenv:\n  TOKEN: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    6231\n"),
        [
            ("apps.yml:5 apps[0].port:", "is 0"),
            (
                "apps.yml:7 apps[0].env.TOKEN:",
                "holds what Ansible Vault encrypted (docs/secrets.md)",
                "put it into slipway_secrets in the vault as web_token, and write TOKEN: {secret:",
            ),
        ],
    ),
    "encrypted text without its tag": Case(
        app("config_files:\n- path: /a\n  content: |\n    $ANSIBLE_VAULT;1.1;AES256\n    6231\n"),
        [("apps.yml:7 apps[0].config_files[0].content:", "secrets.md", "write secret: web_config")],
    ),
    "a tag of Ansible Vault's without its form": Case(
        app("env: {A: !vault x}"),
        [("apps.yml:5 apps[0].env.A:", "the tag !vault", "slipway_secrets", "docs/secrets.md")],
    ),
    "an encrypted file": Case(
        "$ANSIBLE_VAULT;1.1;AES256\n62313365\n",
        [("apps.yml:1:", "is encrypted by Ansible Vault", "slipway_secrets: docs/secrets.md")],
    ),
    "text that Ansible is to leave alone": Case(
        app("env: {A: !unsafe x}"), [("env.A:", "the tag !unsafe", "text is to the letter here")]
    ),
    "unknown tags": Case(
        app("env: !include env.yml\nconfig_files: !join [a]"),
        [
            ("apps.yml:5 apps[0].env:", "the tag !include", "remove it"),
            ("apps.yml:6 apps[0].config_files:", "the tag !join"),
            ("apps.yml:6 apps[0].config_files[0]:", "as text"),
        ],
    ),
    "a word that is tagged as a number": Case(
        app("port: !!int x"), [("apps.yml:5:", "is not YAML", "'x' is no value of !!int")]
    ),
    "a number of 10,000 digits": Case(
        app(f"port: {'9' * 10_000}"), [("apps.yml:5:", "is no value of !!int")]
    ),
    "a number that no text can show": Case(
        app(f"port: 0x{'f' * 10_000}"), [("apps.yml:5:", "is no value of !!int")]
    ),
    "infinity": Case(app("port: .inf"), [("port:", "with a fraction", "a whole number")]),
    "lists in lists": Case(
        f"version: 1\napps: {'[' * 100_000}{']' * 100_000}\n",
        [("apps.yml:2:", "is not YAML", "more than 100 deep")],
    ),
    "lists in lists, line by line": Case(
        f"version: 1\napps: {'- ' * 100_000}\n", [("apps.yml:2:", "is not YAML")]
    ),
    "keys in keys": Case(f"{'? ' * 100_000}", [("apps.yml:1:", "more than 100 deep")]),
    "a billion laughs": Case(
        app(
            "x-a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"x-{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
                for before, name in zip("abcdefgh", "bcdefghi", strict=True)
            )
        ),
        [("apps.yml:5:", "with all that aliases stand for")],
    ),
    "namespace of the ingress controller": Case(
        app("namespace: nginx-ingress"),
        [("apps.yml:5 apps[0].namespace:", "that of the ingress controller", "leave it out")],
    ),
    "namespace of all routes": Case(
        app("namespace: slipway-routes"), [("namespace:", "certificates of all apps")]
    ),
    "namespace of the load balancer": Case(
        app("namespace: 'metallb-{{ branch }}'\ngit_branch: system"),
        [("apps.yml:5 apps[0].namespace:", "metallb-system is that of the load balancer")],
    ),
    "namespace default": Case(app("namespace: default"), [("namespace:", "names no namespace")]),
    "name and branch that make a namespace of Kubernetes' own": Case(
        "version: 1\napps: [{name: kube, git_url: x, git_branch: system}]\n",
        [("apps.yml:2 apps[0]", "kube-system is Kubernetes' own")],
    ),
    "template that fails for this branch": Case(
        app("namespace: 'shop-{{ branch.split(\"/\")[1] }}'"),
        [("apps.yml:3 apps[0]:", "for the branch 'main'", "cannot be filled in")],
    ),
    "template that computes too much": Case(
        app("namespace: '{{ \"a\" * 10**10 }}'"), [("cannot be filled in",)]
    ),
    "an alias inside itself": Case(
        app("env: &env {A: *env}"), [("apps.yml:5:", "an alias inside")]
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_mistake_is_reported(name: str, tmp_path: Path) -> None:
    text, mistakes = CASES[name]
    path = tmp_path / "apps.yml"
    path.write_text(text)

    with pytest.raises(SlipwayError) as caught:
        plan(path, secrets=["db_password"])

    found = [str(problem) for problem in caught.value.problems]
    assert len(found) == len(mistakes), found
    for report, parts in zip(found, mistakes, strict=True):
        assert re.match(
            re.escape(parts[0]) if parts[0].startswith("apps.yml") else "apps.yml:", report
        )
        assert all(part in report for part in parts), report


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"apps\.yml: cannot be read: No such file"):
        plan(tmp_path / "apps.yml")


def test_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "apps.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SlipwayError, match="save it as UTF-8"):
        plan(tmp_path / "apps.yml")
