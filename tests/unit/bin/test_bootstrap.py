"""The environment is made by a Python that fits, and who cannot have one is told why at once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import PROJECT

PYTHON = """#!/bin/sh
case "$1 $2" in
"-c import sys, ensurepip, venv"*) exit {suits} ;;
--version*) echo "Python {version}" ;;
"-m venv")
    mkdir -p .venv/bin
    echo "{name} $*" >>made
    cp noted .venv/bin/pip
    cp noted .venv/bin/python
    ;;
"-m slipway.control_node.tools") {tools} ;;
esac
"""
"""Stands for one of the machine's Pythons; one that does not suit is too old or without venv."""

REQUIREMENTS = (
    *("requirements.txt", "requirements-test.txt", "requirements-lock.txt", "requirements.yml"),
    *("requirements-collections.txt", "requirements-collections.sha256"),
)

INSTALLED = {"python3", "python3.13", "python3.12", "python3.11"}


class Machine:
    """A checkout on a machine with nothing but stand-ins and what every Linux has."""

    def __init__(self, root: Path) -> None:
        self.checkout = root / "checkout"
        self.home = root / "home"
        self.bin = root / "programs"
        for folder in (self.checkout / "bin", self.home, self.bin):
            folder.mkdir(parents=True)
        shutil.copy(PROJECT / "bin" / "bootstrap", self.checkout / "bin")
        for name in REQUIREMENTS:
            (self.checkout / name).touch()
        for name in ("install_collections.py", "carried_packages.py"):
            (self.checkout / "bin" / name).touch()
        self._write(self.checkout / "noted", '#!/bin/sh\necho "${0##*/} $*" >>asked\n')
        for name in (
            "cat",
            "cp",
            "dirname",
            "find",
            "head",
            "mkdir",
            "readlink",
            "rm",
            "sha256sum",
        ):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        for name in INSTALLED:  # also where the machine of the test has one
            self._write(self.bin / name, "#!/bin/sh\nexit 127\n")
        self.command("uname", "echo Linux")
        self.user(0)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def command(self, name: str, line: str) -> None:
        """Have a program."""
        self._write(self.bin / name, f"#!/bin/sh\n{line}\n")

    def user(self, uid: int) -> None:
        """Be run by somebody."""
        self.command("id", f"echo {uid}")

    def python(self, name: str, version: str, *, suits: bool, tools: str = "exit 1") -> None:
        """Have a Python."""
        text = PYTHON.format(name=name, version=version, suits=int(not suits), tools=tools)
        self._write(self.bin / name, text)

    def bootstrap(self, *arguments: str) -> tuple[int, list[str]]:
        """The exit code, and the lines of what is said."""
        done = subprocess.run(
            [self.checkout / "bin" / "bootstrap", *arguments],
            env={"PATH": str(self.bin), "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()

    @property
    def made(self) -> list[str]:
        """How environments were made, one line for each."""
        path = self.checkout / "made"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def asked(self) -> list[str]:
        """How pip was called, and what was run in the environment, one line for each."""
        return (self.checkout / "asked").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("says", "system"),
    [
        ("Darwin", "macOS"),
        ("MINGW64_NT-10.0-26100", "a Windows shell"),
        ("CYGWIN_NT-10.0-26100", "a Windows shell"),
        ("FreeBSD", "FreeBSD"),
    ],
)
def test_elsewhere_than_on_linux_the_first_line_names_the_way(
    machine: Machine, says: str, system: str
) -> None:
    for program in machine.bin.iterdir():  # such a system need not have any of Linux's
        if program.name != "dirname":
            program.unlink()
    machine.command("uname", f"echo {says}")
    code, lines = machine.bootstrap()
    assert code == 1
    assert lines == [
        f"Slipway needs Linux, and this is {system}: "
        "docs/linux-vm.md has a Linux VM for it, ready to start."
    ]
    assert Path("docs", "linux-vm.md").exists()
    assert machine.made == []


def test_python3_makes_the_environment_where_it_suits(machine: Machine) -> None:
    machine.python("python3", "3.12.3", suits=True)
    machine.python("python3.11", "3.11.2", suits=True)
    assert machine.bootstrap() == (0, ["Making the Python environment .venv"])
    assert machine.made == ["python3 -m venv --clear .venv"]


def test_another_python_does_where_python3_is_too_old(machine: Machine) -> None:
    machine.python("python3", "3.10.12", suits=False)
    machine.python("python3.11", "3.11.0rc1", suits=True)
    assert machine.bootstrap()[0] == 0
    assert machine.made == ["python3.11 -m venv --clear .venv"]


def test_a_newer_python_goes_before_an_older_one(machine: Machine) -> None:
    machine.python("python3.11", "3.11.0", suits=True)
    machine.python("python3.13", "3.13.1", suits=True)
    assert machine.bootstrap()[0] == 0
    assert machine.made == ["python3.13 -m venv --clear .venv"]


def test_root_gets_the_package_that_is_missing(machine: Machine) -> None:
    machine.python("python3", "3.10.12", suits=False)
    new = machine.bin / "new"
    machine.python("new", "3.11.0rc1", suits=True)
    machine.command(
        "apt-get",
        f'echo "$DEBIAN_FRONTEND $*"; [ $1 = update ] || cp {new} {machine.bin}/python3.11',
    )
    code, lines = machine.bootstrap()
    assert code == 0
    assert lines == [
        "noninteractive update -q",
        "noninteractive satisfy -qy --no-install-recommends "
        "python3.13-venv | python3.12-venv | python3.11-venv | python3-venv (>= 3.11)",
        "Making the Python environment .venv",
    ]


def test_who_may_not_install_is_told_all_that_a_run_needs(machine: Machine) -> None:
    machine.user(1000)
    machine.command("apt-get", "echo called")
    machine.python("python3", "3.11.2", suits=False, tools='echo "this machine: needs $3, maven"')
    assert machine.bootstrap() == (1, ["this machine: needs python, maven"])


@pytest.mark.parametrize("old", [True, False])
def test_without_any_python_that_can_say_it_the_need_is_told_all_the_same(
    machine: Machine, old: bool
) -> None:
    machine.user(1000)
    if old:
        machine.python("python3", "3.5.3", suits=False, tools="echo Traceback >&2; exit 1")
    code, lines = machine.bootstrap()
    assert code == 1
    assert lines == [
        "Slipway needs Python 3.11 or newer, with its modules venv and ensurepip.",
        "    fix: on Debian and Ubuntu, as root: apt-get satisfy "
        "'python3.13-venv | python3.12-venv | python3.11-venv | python3-venv (>= 3.11)'",
    ]


def test_a_second_run_says_and_makes_nothing(machine: Machine) -> None:
    machine.python("python3", "3.12.3", suits=True)
    assert machine.bootstrap()[0] == 0
    assert machine.bootstrap() == (0, [])
    assert len(machine.made) == 1


@pytest.mark.parametrize("change", ["python", "place", *REQUIREMENTS[:1], *REQUIREMENTS[3:]])
def test_an_environment_that_does_not_fit_any_more_is_made_anew(
    machine: Machine, tmp_path: Path, change: str
) -> None:
    machine.python("python3", "3.11.2", suits=True)
    assert machine.bootstrap()[0] == 0
    if change == "python":  # the release of the machine was upgraded
        machine.python("python3", "3.13.5", suits=True)
    elif change in REQUIREMENTS:
        (machine.checkout / change).write_text("other==1\n")
    else:
        machine.checkout = machine.checkout.rename(tmp_path / "elsewhere")
    assert machine.bootstrap() == (0, ["Making the Python environment .venv"])
    assert len(machine.made) == 2


@pytest.mark.parametrize(
    ("argument", "said"),
    [("test", "Adding what tests Slipway"), ("lock", "Adding what writes the lock")],
)
def test_what_tests_or_locks_is_added_when_it_is_asked_for(
    machine: Machine, argument: str, said: str
) -> None:
    machine.python("python3", "3.12.3", suits=True)
    assert machine.bootstrap(argument) == (0, ["Making the Python environment .venv", said])
    assert machine.bootstrap(argument) == (0, [])
    assert machine.bootstrap() == (0, [])
    (machine.checkout / f"requirements-{argument}.txt").write_text("other==1\n")
    assert machine.bootstrap() == (0, [])
    assert machine.bootstrap(argument) == (0, [said])


def test_all_that_is_installed_has_its_hash_and_nothing_is_built(machine: Machine) -> None:
    machine.python("python3", "3.12.3", suits=True)
    for argument in ("test", "lock"):
        assert machine.bootstrap(argument)[0] == 0
    calls = [line.split() for line in machine.asked if line.startswith("pip ")]
    assert [call[-1] for call in calls] == [*REQUIREMENTS[:3]]
    for call in calls:
        assert {"--require-hashes", "--no-deps"} < {*call}
        assert call[call.index("--only-binary") + 1] == ":all:"


@pytest.mark.parametrize(
    "place",
    ["checkout/.venv/bin/pip", "checkout/.slipway/examples", "home/.cache/slipway/bundle"],
)
def test_files_of_another_user_are_noticed_with_the_mend(
    machine: Machine, tmp_path: Path, place: str
) -> None:
    machine.python("python3", "3.12.3", suits=True)
    machine.user(os.getuid() + 1)
    path = tmp_path / place
    path.mkdir(parents=True)
    code, lines = machine.bootstrap()
    folder = str(path.parent if "home" in place else path.relative_to(machine.checkout).parts[0])
    other = os.getuid() + 1
    assert code == 1
    assert lines == [
        "Slipway was run by another user here, such as root with sudo, whose files are in the way.",
        f"    fix: sudo chown -R {other}:{other} '{folder}'",
        "    or go on as that user",
    ]
    assert machine.made == []


def test_root_may_change_the_files_of_everybody(machine: Machine) -> None:
    machine.python("python3", "3.12.3", suits=True)
    path = machine.home / ".cache" / "slipway" / "bundle"
    path.mkdir(parents=True)
    if os.getuid() == 0:
        os.chown(path, 1000, 1000)
    assert machine.bootstrap()[0] == 0


def test_the_environment_of_another_checkout_is_not_emptied_through_a_link(
    machine: Machine, tmp_path: Path
) -> None:
    machine.python("python3", "3.13.5", suits=True)
    others = tmp_path / "others"
    others.mkdir()
    (machine.checkout / ".venv").symlink_to(others)
    code, lines = machine.bootstrap()
    assert code == 1
    assert str(others) in lines[0]
    assert lines[-1] == f"    fix: rm '{machine.checkout}/.venv'"
    assert machine.made == []
