"""A machine's posture as a JSON document."""

from dataclasses import asdict
from typing import Any

from bartizan.app.inspect_posture import PostureReport
from bartizan.formats.inert import inert
from bartizan.formats.result_json import finding_document
from bartizan.model.posture import PostureFinding, Reading, Workload

VALUE_LIMIT = 1000
"""Characters of one reading that are shown."""


def posture_document(report: PostureReport, *, only: str | None = None) -> dict[str, Any]:
    """`bartizan posture --json`; `only`: nothing but the rule of this id."""
    findings = [one for one in report.result.findings if only in {None, one.rule.id}]
    without = {rule: why for rule, why in report.result.inapplicable.items() if only in {None, rule}}
    return {
        "profile": report.result.profile.value,
        "privileged": report.posture.privileged,
        "findings": [_finding(one) for one in findings],
        "inapplicable": without,
        "workloads": [_workload(workload) for workload in report.posture.workloads],
        "status": report.status.value,
    }


def plan_document(report: PostureReport) -> dict[str, Any]:
    """`bartizan posture --fix-plan --json`."""
    steps = [
        {"where": mend.value, "rules": [{"id": rule.id, "add": rule.add, "fix": rule.fix} for rule in rules]}
        for mend, rules in report.plan().items()
    ]
    return posture_document(report) | {"plan": steps}


def _finding(one: PostureFinding) -> dict[str, Any]:
    rule = one.rule
    return finding_document(one.finding) | {
        "area": rule.area,
        "severity": rule.severity.value,
        "title": rule.title,
        "impact": rule.impact,
        "fix": rule.fix,
        "references": list(rule.references),
        "read": [_reading(reading) for reading in one.read],
    }


def _reading(reading: Reading) -> dict[str, Any]:
    if reading.value is None:
        return {"path": inert(reading.path), "error": reading.error.value if reading.error else None}
    return {"path": inert(reading.path), "value": inert(reading.value.strip(), limit=VALUE_LIMIT)}


def _workload(workload: Workload) -> dict[str, Any]:
    shown = {key: inert(value) if isinstance(value, str) else value for key, value in asdict(workload).items()}
    return shown | {"private": None if workload.private is None else list(workload.private)}
