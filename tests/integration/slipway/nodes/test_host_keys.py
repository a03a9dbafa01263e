"""Host keys of a real SSH server: not looked at yet, changed, and of hosts on the way."""

from __future__ import annotations

import getpass
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.nodes import host_keys
from slipway.nodes.host_keys import REFUSED, Client, HostKey, look, problems
from tests.support.git_servers import Sshd, key_pair, sshd_for_a_key


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with sshd_for_a_key(tmp_path) as running:
        yield running


@pytest.fixture
def client(server: Sshd, tmp_path: Path) -> Client:
    """How the server is reached by options, as Ansible gives them."""
    options = {
        "Port": server.port,
        "User": getpass.getuser(),
        "IdentityFile": tmp_path / "id",
        "UserKnownHostsFile": f"{tmp_path}/known_hosts {tmp_path}/other_hosts",
        "GlobalKnownHostsFile": tmp_path / "all_hosts",
        "ControlMaster": "auto",
    }
    argv = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return Client(["ssh", "-F", "none", *argv], "127.0.0.1")


def reached(client: Client) -> bool:
    """Whether ssh gets in as it is told, without a question."""
    argv = [*client.argv, "-o", "BatchMode=yes", client.host, "true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or any(words in done.stderr for words in REFUSED), done.stderr
    return done.returncode == 0


def fingerprint(server: Sshd, folder: Path) -> str:
    """The server's, as its own machine shows it."""
    (folder / "shown.pub").write_text(server.known_hosts.partition(" ")[2])
    shown = subprocess.check_output(["ssh-keygen", "-lf", folder / "shown.pub"], text=True)
    return shown.split()[1]


def run_the_mend(key: HostKey) -> None:
    """Give the commands that follow what is to be compared."""
    (problem,) = problems([key])
    commands = problem.fix.partition("\n")[2]
    subprocess.run(["sh", "-euc", commands], check=True)


def test_a_key_that_nobody_has_looked_at_is_shown_and_made_known_by_the_mend(
    server: Sshd, client: Client, tmp_path: Path
) -> None:
    assert not reached(client)
    key = look("two", client)
    assert key
    assert (key.owner, key.name, key.known) == ("two", f"[127.0.0.1]:{server.port}", "")
    assert key.line == server.known_hosts
    assert key.fingerprint.split() == [
        *("256", fingerprint(server, tmp_path), f"[127.0.0.1]:{server.port}", "(ED25519)")
    ]
    assert not (tmp_path / "known_hosts").exists()
    run_the_mend(key)
    assert (tmp_path / "known_hosts").read_text() == f"{server.known_hosts}\n"
    assert reached(client)
    assert look("two", client) is None


@pytest.mark.parametrize("file", ["known_hosts", "other_hosts", "all_hosts"])
def test_a_key_that_changed_is_told_with_both_and_where_the_old_one_is(
    server: Sshd, client: Client, tmp_path: Path, file: str
) -> None:
    _, old = key_pair(tmp_path, "old")
    (tmp_path / file).write_text(f"# mine\n[127.0.0.1]:{server.port} {old}\n")
    assert not reached(client)
    key = look("two", client)
    assert key
    assert key.known.endswith(f"({tmp_path}/{file}, line 2)")
    (problem,) = problems([key])
    assert problem.where == "two"
    assert f"now:   256 {fingerprint(server, tmp_path)}" in problem.what
    assert key.known.split()[2].startswith("SHA256:")
    assert key.known.split()[2] != fingerprint(server, tmp_path)
    run_the_mend(key)
    assert old not in (tmp_path / file).read_text()
    assert reached(client)


def test_names_are_found_where_they_are_hashed_and_by_another_name(
    server: Sshd, client: Client, tmp_path: Path
) -> None:
    aliased = replace(client, argv=[*client.argv, "-o", "HostKeyAlias=two.example.org"])
    key = look("two", aliased)
    assert key
    assert key.name == "two.example.org"
    run_the_mend(key)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", tmp_path / "known_hosts"], check=True)
    assert reached(aliased)
    assert look("two", aliased) is None
    assert not reached(client)


@pytest.mark.parametrize("option", ["StrictHostKeyChecking=no", "StrictHostKeyChecking=accept-new"])
def test_who_wants_no_question_gets_none(client: Client, option: str) -> None:
    assert reached(replace(client, argv=[*client.argv, "-o", option]))


def test_a_machine_that_cannot_be_reached_otherwise_is_no_matter_of_keys(
    server: Sshd, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "known_hosts").write_text(f"{server.known_hosts}\n")
    (tmp_path / "id").unlink()
    assert look("two", client) is None
    assert look("two", replace(client, argv=[*client.argv[:3], "-o", "Port=1"])) is None


def test_a_machine_that_never_answers_is_not_waited_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_keys, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert look("two", replace(client, argv=[*client.argv[:3], "-o", f"Port={port}"])) is None


@pytest.mark.parametrize(
    "way",
    [
        "ProxyJump {user}@127.0.0.1:{port}",
        "ProxyJump first,second",
        "ProxyCommand ssh -F {config} -q -W %h:%p -p {port} {user}@127.0.0.1",
        "ProxyCommand ssh -F{config} -W[%h]:%p first",
    ],
)
def test_keys_of_hosts_on_the_way_come_first(
    server: Sshd, client: Client, tmp_path: Path, way: str
) -> None:
    config = tmp_path / "config"
    where = {"user": getpass.getuser(), "port": server.port, "config": config}
    reach = f"    HostName 127.0.0.1\n    Port {server.port}\n"
    config.write_text(
        f"IdentityFile {tmp_path}/id\nUserKnownHostsFile {tmp_path}/known_hosts\n"
        f"Host first\n{reach}Host second\n{reach}    HostKeyAlias second\n"
        f"Host two\n    HostName localhost\n    Port {server.port}\n    HostKeyAlias two\n"
        f"    {way.format(**where)}\n"
    )
    behind = Client(["ssh", "-F", str(config)], "two")
    found = []
    while not reached(behind):
        key = look("two", behind)
        assert key
        assert key.line.split()[1:] == server.known_hosts.split()[1:]
        found.append((key.owner, key.name))
        run_the_mend(key)
    on_the_way = "a host on the way to two"
    assert found == [
        (on_the_way, f"[127.0.0.1]:{server.port}"),
        *([(on_the_way, "second")] if "second" in way else []),
        ("two", "two"),
    ]
