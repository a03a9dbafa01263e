"""What one more run does to a cluster: nothing, or what changed and nothing else."""

from __future__ import annotations

from tests.e2e.runs.conftest import Apps, AppsFile
from tests.e2e.scenario import Scenario


def test_a_run_with_nothing_to_do_changes_nothing_and_touches_no_pod(scenario: Scenario) -> None:
    before = scenario.pods()
    run = scenario.play("site.yml")
    assert run.code == 0, run
    assert run.changed == dict.fromkeys(["localhost", *scenario.nodes], 0), run
    assert scenario.pods() == before


def test_a_changed_config_rolls_the_pods_of_that_app_alone_and_back(
    scenario: Scenario, apps_file: AppsFile
) -> None:
    changed = apps_file.changed(_greet_otherwise)
    for wanted in (changed, scenario.apps_file):
        before = scenario.pods()
        run = scenario.deploy(wanted)
        assert run.code == 0, run
        touched = {name.split("/")[0] for name, _ in before.items() ^ scenario.pods().items()}
        assert touched == {"greeter-main"}
        assert scenario.wrong_routes(wanted) == {}
        other = changed if wanted is scenario.apps_file else scenario.apps_file
        assert scenario.wrong_routes(other).keys() == {"/greeter/main/"}


def _greet_otherwise(apps: Apps) -> None:
    [app] = [app for app in apps if (app["name"], app["git_branch"]) == ("greeter", "main")]
    [file] = app["config_files"]
    file["content"] = "greeter.greeting=Good day\n"
    [rule] = app["ingress"]["rules"]
    rule["expect"] = "Good day from main"
