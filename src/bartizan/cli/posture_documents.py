"""A machine's posture as a JSON document."""

from typing import Any

from bartizan.app.inspect_policy import PolicyReport
from bartizan.app.inspect_posture import PostureReport
from bartizan.app.report_posture import FrameworkReport, RequirementReport
from bartizan.formats.inert import inert
from bartizan.formats.result_json import finding_document
from bartizan.model.posture import Part, PartVerdict, PostureFinding, Reading, WorkloadVerdict

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
        "workloads": [_workload(verdict) for verdict in report.result.workloads],
        "status": report.status.value,
    }


def plan_document(report: PostureReport) -> dict[str, Any]:
    """`bartizan posture --fix-plan --json`."""
    steps = [
        {"where": mend.value, "rules": [{"id": rule.id, "add": rule.add, "fix": rule.fix} for rule in rules]}
        for mend, rules in report.plan().items()
    ]
    return posture_document(report) | {"plan": steps}


def framework_document(report: FrameworkReport) -> dict[str, Any]:
    """`bartizan posture --report --json`."""
    return {
        "framework": report.framework.framework.value,
        "name": report.framework.name,
        "source": report.framework.source,
        "nodes": [
            {"node": inert(node), "requirements": [_requirement(row) for row in rows]}
            for node, rows in report.nodes.items()
        ],
        "fleet": {
            requirement: {met.value: count for met, count in counted.items()}
            for requirement, counted in report.fleet().items()
        },
    }


def _requirement(row: RequirementReport) -> dict[str, Any]:
    return {
        "id": row.requirement.id,
        "text": row.requirement.text,
        "must": row.requirement.must,
        "outcome": row.met.value,
        "rules": list(row.rules),
        "open": list(row.open),
        "waived": list(row.waived),
    }


def _finding(one: PostureFinding) -> dict[str, Any]:
    rule = one.rule
    return finding_document(one.finding) | {
        "area": rule.area,
        "severity": rule.severity.value,
        "title": rule.title,
        "impact": rule.impact,
        "fix": rule.fix,
        "references": list(rule.references),
        "frameworks": {framework.value: list(named) for framework, named in rule.frameworks.items()},
        "workload": one.workload.pid if one.workload is not None else None,
        "witness": list(one.witness),
        "read": [_reading(reading) for reading in one.read],
    }


def _reading(reading: Reading) -> dict[str, Any]:
    if reading.value is None:
        return {"path": inert(reading.path), "error": reading.error.value if reading.error else None}
    return {"path": inert(reading.path), "value": inert(reading.value.strip(), limit=VALUE_LIMIT)}


def _workload(verdict: WorkloadVerdict) -> dict[str, Any]:
    workload, identity = verdict.workload, verdict.identity
    return {
        "pid": workload.pid,
        "kind": workload.kind,
        "name": _text(identity.name or None),
        "uuid": _text(identity.uuid or None),
        "vouched": [inert(one, limit=VALUE_LIMIT) for one in identity.kernel],
        "comm": inert(workload.comm),
        "exe": _text(workload.exe),
        "label": _text(workload.label),
        "cgroup": _text(workload.cgroup),
        "images": None if workload.images is None else [inert(one, limit=VALUE_LIMIT) for one in workload.images],
        "vector": {part.value: _part(verdict.vector[part]) for part in Part},
    }


def _part(verdict: PartVerdict) -> dict[str, Any]:
    return {
        "tier": verdict.tier.value,
        "rules": list(verdict.rules),
        "why": list(verdict.why),
        "witness": list(verdict.witness),
    }


def _text(value: str | None) -> str | None:
    return None if value is None else inert(value, limit=VALUE_LIMIT)


def policy_document(report: PolicyReport) -> dict[str, Any]:
    """`bartizan posture --policy --json`."""
    analysis = report.analysis
    return {
        "policy": None
        if analysis is None
        else {
            "sha256": analysis.digest.hex(),
            "types": analysis.types,
            "permissive": list(analysis.permissive),
            "domains": dict(analysis.domains),
            "reached": [
                {
                    "domain": one.domain,
                    "target": one.target,
                    "way": [{"from": step.source, "entry": step.entry, "to": step.target} for step in one.way],
                    "constrained": one.constrained,
                    "unconfined": one.unconfined,
                }
                for one in analysis.reached
            ],
        },
        "findings": [finding_document(finding) for finding in report.findings],
        "status": report.status.value,
    }
