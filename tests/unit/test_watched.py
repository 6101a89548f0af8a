"""Alert rules and dashboard name only metrics that the service exposes, and the page of metrics names all of them."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bartizan.app.service import attesting, keeping, statements, watch
from bartizan.store.alarms import raise_alarm
from tests.architecture.tree import ROOT
from tests.unit.api_side import Api, asked

RULES = ROOT / "deploy" / "prometheus" / "bartizan-alerts.yml"
RULE_TESTS = RULES.with_suffix(".test.yml")
DASHBOARD = ROOT / "deploy" / "grafana" / "bartizan.json"
PAGE = ROOT / "docs" / "reference" / "metrics.md"
NAME = re.compile(r"\b((?:bartizan|process)_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"([a-z]+)(?:=~|!~|!=|=)")
BY = re.compile(r"by \(([a-z, ]+)\)")
OWN = {"job", "instance", "alertname"}
"""Labels that Prometheus adds."""
Labels = dict[str, set[str]]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    """What a service that has something of everything exposes: labels by metric."""
    found: Labels = {}

    async def play(api: Api) -> None:
        await api.enrolled("compute-01")
        await api.service.write(lambda connection: raise_alarm(connection, watch.MASS, "why", now=1))
        api.service.keeper.refusals["nonce"] = 1
        await api.service.watch.look()
        text = (await api.ask("GET", "/metrics")).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
                if sample.name == "bartizan_heartbeat_timestamp_seconds":
                    assert sample.value == api.clock().milliseconds / 1000

    asked(play, tmp_path_factory.mktemp("service"))
    return found


def rules() -> list[dict[str, Any]]:
    """Every alert rule."""
    document = msgspec.yaml.decode(RULES.read_bytes(), type=dict[str, list[dict[str, Any]]])
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """What rules, dashboard and the tests of the rules ask Prometheus for."""
    yield from (rule["expr"] for rule in rules())
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    yield from (one["expr"] for one in dashboard["annotations"]["list"])
    tests = msgspec.yaml.decode(RULE_TESTS.read_bytes(), type=dict[str, Any])["tests"]
    yield from (series["series"] for test in tests for series in test["input_series"])


def asked_for(texts: Iterable[str]) -> Labels:
    """Labels by metric; what `by (…)` names counts for every metric of the expression."""
    found: Labels = {}
    for text in texts:
        grouped = {label.strip() for group in BY.findall(text) for label in group.split(",")}
        for name, selector in NAME.findall(text):
            found.setdefault(name, set()).update(grouped, LABEL.findall(selector))
    return found


def test_what_is_asked_for_is_exposed(exposed: Labels) -> None:
    wanted = asked_for(expressions())

    assert len(wanted) > 12
    assert not wanted.keys() - exposed.keys()
    assert not {name: labels - exposed[name] - OWN for name, labels in wanted.items() if labels - exposed[name] - OWN}


def test_the_page_names_every_metric_with_its_labels(exposed: Labels) -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|([^|]*)\|", PAGE.read_text("utf-8"), re.MULTILINE)

    assert {name: set(re.findall(r"`([a-z]+)`", labels)) for name, labels in rows} == exposed


def test_the_alarms_that_rules_and_page_name_are_raised() -> None:
    texts = (RULES.read_text("utf-8"), PAGE.read_text("utf-8"))
    kinds = set(re.findall(r'kind="([a-z-]+)"', texts[0]))
    raised = "".join(
        Path(str(module.__file__)).read_text("utf-8") for module in (attesting, keeping, statements, watch)
    )

    assert kinds == {"damaged", "forged", "mass-late"}
    for kind in {*kinds, "away"}:
        assert f'"{kind}"' in raised
        assert f"`{kind}`" in texts[1]


def test_every_rule_says_what_it_means_and_how_bad_it_is() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]


def test_every_rule_is_tried() -> None:
    tried = RULE_TESTS.read_text("utf-8")

    assert not [rule["alert"] for rule in rules() if f"alertname: {rule['alert']}" not in tried]


def test_the_dashboards_panels_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    cells: set[tuple[int, int]] = set()
    for at in (panel["gridPos"] for panel in panels):
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & own
        assert max(x for x, _ in own) < 24
        cells |= own
    assert len({panel["id"] for panel in panels}) == len(panels)
