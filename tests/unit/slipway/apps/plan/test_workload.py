"""What apps.yml says of a container and of what else belongs to the app, seen before anything."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import indent

import pytest

from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError

CPU = "resources: {requests: {cpu: 100m}}"


def write(folder: Path, lines: str) -> Path:
    """An apps.yml with one app that has these settings."""
    path = folder / "apps.yml"
    head = "version: 1\napps:\n  - name: web\n    git_url: https://git.test/web\n"
    path.write_text(head + indent(lines, " " * 4) + "\n")
    return path


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        (
            "manifests: [{file: bad.yaml}]",
            ("manifests[0].file:", "unknown variable bramch", "name, branch"),
        ),
        (
            "config_files: [{path: /a, file: bad.yaml, template: true}]",
            ("config_files[0].file:", "unknown variable bramch"),
        ),
        ("manifests: [{file: binary}]", ("file:", "cannot be read", "a text file")),
        (
            "config_files: [{path: /a, file: binary, template: true}]",
            ("config_files[0].file:", "cannot be read", "a text file"),
        ),
        (
            "config_files: [{path: /b, content: b}, {path: /a, file: large}]",
            ("config_files[1]:", "1 MiB", "/a 1,200,000", "into the image"),
        ),
        (
            "config_files:\n  - {path: /a, file: third}\n  - {path: /b, file: third}\n"
            "  - {path: /c, file: third}\n",
            ("config_files[0]:", "hold 1,200,000 bytes", "/a 400,000, /b 400,000, /c 400,000"),
        ),
        ("manifests: [{file: .}]", ("manifests[0].file:", "cannot be read")),
        ("manifests: [{file: pipe}]", ("file:", "neither a file nor a folder", "a text file")),
        (
            "manifests:\n  - content: |\n      a: {{ name }}\n      b: [\n",
            ("manifests[0].content:", "is not YAML, line 3"),
        ),
        ("helm: [{file: .}]", ("helm[0].file:", "is no chart", "Chart.yaml")),
        (
            "helm: [{source: c, values: {a: [{b: '{{ bramch }}'}]}}]",
            ("helm[0].values.a[0].b:", "unknown variable bramch", "image"),
        ),
        ("env: {A: '{{ host }}'}", ("env.A:", "unknown variable host")),
        ('env: {A: "a\\0b"}', ("env.A:", "has a NUL in it")),
        (
            f"env: {{A: {'x' * 131_070}}}",
            ("env.A:", "has 131,072 bytes", "at most 131,071", "make it a config file"),
        ),
        (
            "probes: {liveness: {path: /a, command: [b]}}",
            ("probes.liveness:", "both a path and a command"),
        ),
        (
            f"processes: {{{'w' * 49}: {{command: [a]}}}}",
            (f"processes.{'w' * 49}:", "has 53 characters as web-www", "may have 52"),
        ),
        (
            "processes: {a: {command: [a]}}\njobs: {a: {command: [a]}}",
            ("jobs.a:", "the name of a process", "another name"),
        ),
        (
            "jobs: {a: {command: [a], when: first, schedule: '@daily'}}",
            ("jobs.a:", "both a schedule and when"),
        ),
        ("jobs: {a: {command: [a], schedule: 3 o'clock}}", ("jobs.a.schedule:", "five fields")),
        ("jobs: {a: {command: [a], schedule: '* * * *'}}", ("jobs.a.schedule:", "five fields")),
        ("processes: {Worker: {command: [a]}}", ("processes", "Worker", "DNS label")),
        ("processes: {worker: {}}", ("processes.worker:", "command")),
        ("jobs: {a: {command: a}}", ("jobs.a.command:", "a list")),
        (f"{CPU}\nreplicas: {{min: 3, max: 2}}", ("replicas:", "from 3 to 2", "min below max")),
        (f"{CPU}\nreplicas: {{min: 3}}", ("replicas:", "lacks the key max", "add max: 5")),
        (f"{CPU}\nreplicas: {{max: 101}}", ("replicas.max:", "is 101", "at most 100")),
        (f"{CPU}\nreplicas: {{max: 2, mem: 3}}", ("replicas.mem:", "unknown key")),
        (f"{CPU}\nreplicas: [1, 2]", ("replicas:", "a whole number or a mapping")),
        (
            "resources: {requests: {cpu: 0}, limits: {cpu: 1}}\nreplicas: {max: 2}",
            ("replicas:", "CPU that is reserved", "requests: {cpu: 100m}"),
        ),
        ("replicas: {max: 2}", ("replicas:", "CPU that is reserved", "requests: {cpu: 100m}")),
        (
            f"{CPU}\nprocesses: {{w: {{command: [a], replicas: {{max: 2}}, "
            "resources: {limits: {memory: 1Gi}}}}",
            ("processes.w.replicas:", "CPU that is reserved"),
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, lines: str, parts: tuple[str, ...]
) -> None:
    (tmp_path / "bad.yaml").write_text("a: 1\nb: {{ bramch }}\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(bytes(1_200_000))
    (tmp_path / "third").write_bytes(bytes(400_000))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SlipwayError) as caught:
        plan(write(tmp_path, lines))
    [problem] = caught.value.problems
    assert all(part in str(problem) for part in parts), str(problem)


@pytest.mark.parametrize(
    "lines",
    [
        "env: {A: \"{{ host | default('none') }}\"}",
        f"env: {{A: {'x' * 131_069}}}",
        "config_files: [{path: /a, file: bad.yaml}]",
        "config_files: [{path: /a, file: binary}, {path: /b, file: third}]",
        "manifests: [{file: bad.yaml, template: false}]",
        "manifests: [{content: 'a: {{ image }}'}]",
        "manifests:\n  - content: |\n      {% if branch %}\n      a: 1\n      {% endif %}\n",
        "env: {A: '{{ host }}'}\ningress: {host: a.test, rules: [{path: /}]}",
        "command: [serve, 8080, 0644]\nprocesses: {w: {command: [work], replicas: 2, x-a: 1}}",
        f"{CPU}\nreplicas: {{max: 3}}\nprocesses: {{w: {{command: [a], replicas: {{max: 2.0}}}}}}",
        "processes: {w: {command: [a], replicas: {max: 2}, resources: {requests: {cpu: 1}}}}",
        "resources: {limits: {cpu: 1}}\nquota: {pods: 2}\nreplicas: {max: 2}",
        "jobs:\n  a: {command: [a], schedule: '*/5 1-3 1,15 * MON-FRI'}\n"
        "  b: {command: [b], when: first, timeout: 5}\n  c: {command: [c], schedule: '@hourly'}",
    ],
)
def test_what_is_sound_is_let_through(tmp_path: Path, lines: str) -> None:
    (tmp_path / "bad.yaml").write_text("a: '{{ bramch }}'\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "third").write_bytes(bytes(400_000))
    assert len(plan(write(tmp_path, lines))) == 1
