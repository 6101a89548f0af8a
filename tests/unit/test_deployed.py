"""What operators copy from deploy/ fits the programs: its commands and profiles are there, and no token is shown."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bartizan.agent.__main__ import parser
from bartizan.agent.loop import State
from tests.architecture.tree import ROOT

DEPLOY = ROOT / "deploy"
ROLE = DEPLOY / "ansible" / "roles" / "bartizan_agent"
PAGE = ROOT / "docs" / "how-to" / "deploy.md"
SECRET = "bartizan_agent_token.stdout | from_json"  # noqa: S105  where the role has it
Task = dict[str, Any]


def yaml(path: Path) -> Any:  # noqa: ANN401
    """A file's document."""
    return msgspec.yaml.decode(path.read_bytes())


def tasks() -> Iterator[Task]:
    """Every task of the role."""
    for path in sorted((ROLE / "tasks").glob("*.yml")):
        yield from yaml(path)


def test_every_file_of_the_role_is_yaml_and_every_task_has_a_name() -> None:
    files = [path for path in (DEPLOY / "ansible").rglob("*.yml") if yaml(path)]

    assert len(files) > 12
    assert not [task for task in tasks() if not task.get("name")]


def test_what_includes_name_is_there() -> None:
    keys = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
    named = {task[key] for task in tasks() for key in keys if key in task}

    assert {path.name for path in (ROLE / "tasks").glob("*.yml")} == {*named, "main.yml"}


def test_whatever_handles_the_token_shows_nothing() -> None:
    holding = [task for task in tasks() if SECRET in json.dumps(task) or task.get("register") == "bartizan_agent_token"]

    assert len(holding) == 3
    assert all(task["no_log"] is True for task in holding)


def test_the_token_stands_on_no_command_line() -> None:
    for task in tasks():
        command = task.get("ansible.builtin.command")
        assert command is None or f"{SECRET}).token" not in json.dumps(command["argv"])


def test_only_modules_of_ansible_itself_are_used() -> None:
    modules = {key for task in tasks() for key in task if "." in key}

    assert {module.rpartition(".")[0] for module in modules} == {"ansible.builtin"}


def test_a_state_that_the_role_waits_for_is_one_of_the_agents() -> None:
    (task,) = [task for task in tasks() if task.get("ansible.builtin.include_tasks") == "enrol_anew.yml"]
    states = set(re.findall(r"'([a-z-]+)'", task["when"][1]))

    assert len(states) == 3
    assert states <= {state.value for state in State}


def test_the_readme_knows_every_variable() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", (DEPLOY / "ansible" / "README.md").read_text("utf-8"), re.MULTILINE)
    words = [word for row in rows for word in re.findall(r"`([a-z_]+)`", row)]
    named = {word if word.startswith("bartizan") else f"bartizan_agent{word}" for word in words}

    assert named == yaml(ROLE / "defaults" / "main.yml").keys()


def test_the_example_sets_what_the_role_needs() -> None:
    needed = yaml(ROLE / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]

    assert needed.keys() <= yaml(DEPLOY / "ansible" / "example" / "inventory.yml")["all"]["vars"].keys()


def test_the_containers_start_what_there_is() -> None:
    (line,) = re.findall(r"^CMD (.*)$", (DEPLOY / "container" / "Containerfile").read_text("utf-8"), re.MULTILINE)
    program, *words = json.loads(line)
    kolla = json.loads((DEPLOY / "container" / "kolla-config.json").read_text("utf-8"))

    assert program == "/usr/bin/bartizan-agent"
    assert parser().parse_args(words).root == Path("/host")
    assert shlex.split(kolla["command"]) == [program, *words]


def test_units_ask_for_profiles_that_there_are() -> None:
    asked = {}
    for unit in DEPLOY.glob("*/*.service"):
        for name in re.findall(r"^AppArmorProfile=-(.*)$", unit.read_text("utf-8"), re.MULTILINE):
            asked[unit.stem] = name

    assert asked == {"bartizan": "bartizan", "bartizan-agent": "bartizan-agent"}
    for name in asked.values():
        text = (DEPLOY / "apparmor" / name).read_text("utf-8")
        assert f"\nprofile {name} {{\n" in text
        assert "complain" not in text
        assert "unconfined {" not in text


def test_the_page_links_and_names_what_there_is() -> None:
    page = PAGE.read_text("utf-8")
    named = {name.rstrip("/") for name in re.findall(r"\bdeploy/[a-z./-]+", page)}
    rules = yaml(DEPLOY / "prometheus" / "bartizan-alerts.yml")
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}

    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).exists()]
    assert set(re.findall(r"^\| (`Bartizan.*?) \|", page, re.MULTILINE))
    assert set(re.findall(r"`(Bartizan[A-Za-z]+)`", page)) == alerts
