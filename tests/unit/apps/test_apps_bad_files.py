"""Every mistake in apps.yml is found, at its line, with the way to mend it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from slipway.apps.plan import plan
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
        "version: 1\napps: [{name: on, git_url: x}]\n", [("name:", "true", "a boolean")]
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
    "branch with a space": Case(app("git_branch: my branch"), [("git_branch:", "one git branch")]),
    "branch pattern": Case(app("git_branch: 'feature/*'"), [("git_branch:", "one git branch")]),
    "branch that is a number": Case(app("git_branch: 1.10"), [("git_branch:", "with a fraction")]),
    "namespace of Kubernetes' own": Case(
        app("namespace: kube-system"), [("namespace:", "does not begin with kube-")]
    ),
    "namespace with a dash at its end": Case(app("namespace: web-"), [("namespace:", "DNS label")]),
    "unknown builder": Case(app("build: jibb"), [("build:", "'jibb'", "write jib")]),
    "builder that is a number": Case(app("build: 3"), [("build:", "must be text or a mapping")]),
    "two builders": Case(app("build: {jib: {}, buildx: {}}"), [("build:", "both", "one of")]),
    "no builder": Case(app("build: {}"), [("build:", "lacks a key", "jib and buildx")]),
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
    "boolean in the environment": Case(
        app("env:\n  DEBUG: yes"), [("apps.yml:6 apps[0].env.DEBUG:", "a boolean", "in quotes")]
    ),
    "variable with a space": Case(app("env: {'A B': x}"), [("env.A B:", "a letter or '_' first")]),
    "config file at a relative path": Case(
        app("config_files: [{path: a.conf, content: x}]"), [("path:", "must be an absolute path")]
    ),
    "config file without text": Case(
        app("config_files: [{path: /a.conf}]"), [("config_files[0]:", "lacks a key", "content and")]
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
    "an unknown tag": Case(
        app("port: !vault x"), [("apps.yml:5:", "is not YAML", "could not determine a constructor")]
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
        plan(path)

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
