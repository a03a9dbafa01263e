"""What one more run does to a cluster: nothing, or what changed and nothing else."""

from __future__ import annotations

from pathlib import Path

from slipway.on_node.node_config import SUMS
from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Scenario

FOLDER = "services/the greeter"
PROGRAM = "/opt/cni/bin/loopback"
GREETING = f"{FOLDER}/src/main/java/org/example/greeter/Greeting.java"


def test_a_run_with_nothing_to_do_changes_nothing_and_touches_no_pod(scenario: Scenario) -> None:
    before = scenario.pods()
    run = scenario.play("site.yml")
    assert run.code == 0, str(run)
    assert run.changed == dict.fromkeys(["localhost", *scenario.nodes], 0), str(run)
    assert scenario.pods() == before


def test_a_program_of_a_node_that_was_changed_by_hand_is_put_back(scenario: Scenario) -> None:
    """Also where size and time say that nothing happened: only its ctime tells."""
    name, worker = next(
        (name, host) for name, host in scenario.nodes.items() if host is not scenario.control_plane
    )
    assert PROGRAM in worker.file(SUMS).content_string
    before = worker.check_output(f"sha256sum {PROGRAM}")
    worker.check_output(
        f"touch -r {PROGRAM} /tmp/time && printf changed | "
        f"dd of={PROGRAM} bs=1 seek=4096 conv=notrunc status=none && touch -r /tmp/time {PROGRAM}"
    )
    assert worker.check_output(f"sha256sum {PROGRAM}") != before
    run = scenario.play("playbooks/cluster.yml")
    assert run.code == 0, str(run)
    assert [host for host, changes in run.changed.items() if changes] == [name], str(run)
    assert worker.check_output(f"sha256sum {PROGRAM}") == before


def test_a_changed_config_rolls_the_pods_of_that_app_alone_and_back(
    scenario: Scenario, apps_file: AppsFile
) -> None:
    changed = apps_file.changed(_greet_otherwise)
    for wanted in (changed, scenario.apps_file):
        before = scenario.pods()
        run = scenario.deploy(wanted)
        assert run.code == 0, str(run)
        touched = {name.split("/")[0] for name, _ in before.items() ^ scenario.pods().items()}
        assert touched == {"greeter-main"}
        assert scenario.wrong_routes(wanted) == {}
        other = changed if wanted is scenario.apps_file else scenario.apps_file
        assert scenario.wrong_routes(other).keys() == {"/greeter/main/"}


def test_a_commit_outside_an_apps_folder_changes_nothing(
    scenario: Scenario, apps_file: AppsFile
) -> None:
    clone = Path(apps_file.repository("many", {"README": "1"}, like="greeter", at=FOLDER))
    wanted = apps_file.changed(lambda apps: _from_folder(apps, clone, "from main"))
    run = scenario.deploy(wanted)
    assert run.code == 0, str(run)
    assert scenario.wrong_routes(wanted) == {}

    before = scenario.pods()
    apps_file.commit("many", {"README": "2", "services/other/pom.xml": "<project/>"})
    run = scenario.deploy(wanted)
    assert run.code == 0, str(run)
    assert set(run.changed.values()) == {0}, str(run)
    assert scenario.pods() == before

    words = (clone / GREETING).read_text()
    apps_file.commit("many", {GREETING: words.replace("from main", "from a folder")})
    wanted = apps_file.changed(lambda apps: _from_folder(apps, clone, "from a folder"))
    run = scenario.deploy(wanted)
    assert run.code == 0, str(run)
    assert scenario.wrong_routes(wanted) == {}
    touched = {name.split("/")[0] for name, _ in before.items() ^ scenario.pods().items()}
    assert touched == {"greeter-main"}
    assert scenario.deploy(scenario.apps_file).code == 0


def _from_folder(apps: Apps, clone: Path, says: str) -> None:
    """Have the main branch of the Java greeter come from a folder of a repository."""
    [app] = [app for app in apps if (app["name"], app["git_branch"]) == ("greeter", "main")]
    app["git_url"], app["git_path"] = str(clone), FOLDER
    [rule] = app["ingress"]["rules"]
    rule["expect"] = says


def _greet_otherwise(apps: Apps) -> None:
    [app] = [app for app in apps if (app["name"], app["git_branch"]) == ("greeter", "main")]
    [file] = app["config_files"]
    file["content"] = "greeter.greeting=Good day\n"
    [rule] = app["ingress"]["rules"]
    rule["expect"] = "Good day from main"
