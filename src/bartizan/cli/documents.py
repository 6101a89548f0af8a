"""Results as JSON documents: the same content that people see, one shape each."""

from dataclasses import asdict
from typing import Any

from bartizan.app.chain import Link
from bartizan.app.inspect_ima import ImaReport
from bartizan.app.inspect_log import LogReport
from bartizan.app.inspect_quote import QuoteReport
from bartizan.cli.console import finding_document, pointer_document
from bartizan.model.digest import SIZES, HashAlg
from bartizan.model.result import AttestationResult, Confinement
from bartizan.model.tdx import TdxQuote

SIGNATURE_NOT_VERIFIED = "not verified"
"""What is said of a TDX quote's signature, in words."""


def bank_name(alg: int) -> str:
    """`sha256`, or the number of an algorithm that has no name here."""
    return HashAlg(alg).label if alg in SIZES else f"0x{alg:04x}"


def log_document(report: LogReport) -> dict[str, Any]:
    """`bartizan log --json`."""
    return {
        "format": report.log.format.value,
        "events": len(report.log.events),
        "start": report.log.start,
        "padding": report.log.padding,
        "pinned": report.pinned.label,
        "banks": {
            alg.label: {str(pcr): value.hex() for pcr, value in values.items()} for alg, values in report.banks.items()
        },
        "matches": {
            alg.label: {str(pcr): holds for pcr, holds in values.items()} for alg, values in report.matches.items()
        },
        "quote": _tdx_document(report.quote) if report.quote is not None else None,
        "findings": [finding_document(finding) for finding in report.findings],
        "status": report.status.value,
    }


def _tdx_document(quote: TdxQuote) -> dict[str, Any]:
    return {
        "version": quote.version,
        "mrtd": quote.report.mr_td.hex(),
        "report_data": quote.report.report_data.hex(),
        "debug": quote.report.under_debug,
        "signature": SIGNATURE_NOT_VERIFIED,
    }


def ima_document(report: ImaReport) -> dict[str, Any]:
    """`bartizan ima --json`."""
    templates = list(report.list.templates)
    return {
        "form": report.list.form.value,
        "template": templates[0] if len(templates) == 1 else None,
        "templates": templates,
        "entries": len(report.list.entries),
        "violations": report.violations,
        "pinned": report.pinned.label if report.pinned else None,
        "matched_entries": report.matched,
        "findings": [finding_document(finding) for finding in report.findings],
        "status": report.status.value,
    }


def quote_document(report: QuoteReport) -> dict[str, Any]:
    """`bartizan quote --json`."""
    return {
        "generation": report.generation,
        "signature": report.signature_holds,
        "extra_data": report.extra_data_holds,
        "extra_data_hex": report.extra_data.hex(),
        "selection": {bank_name(alg): sorted(pcrs) for alg, pcrs in report.selection.items()},
        "pcr_digest": report.pcr_digest_holds,
        "clock": asdict(report.clock) if report.clock else None,
        "firmware_version": f"{report.firmware_version:016x}" if report.firmware_version is not None else None,
        "findings": [finding_document(finding) for finding in report.findings],
        "status": report.status.value,
    }


def result_document(result: AttestationResult) -> dict[str, Any]:
    """`bartizan appraise --json`."""
    return {
        "level": result.level,
        "state": result.state.value,
        "contraindicated": result.contraindicated,
        "vector": {claim.value: tier.value for claim, tier in result.vector.items()},
        "ladder": [
            {
                "level": rung.number,
                "name": rung.name,
                "question": rung.question,
                "holds": rung.holds if rung.assessed else None,
                "missing": list(rung.missing),
            }
            for rung in result.ladder
        ],
        "strength": {str(pcr): bank for pcr, bank in result.strength.items()},
        "confinement": _confinement_document(result.confinement) if result.confinement is not None else None,
        "policy": result.policy,
        "reference": result.reference,
        "findings": [finding_document(finding) for finding in result.findings],
    }


def _confinement_document(confinement: Confinement) -> dict[str, Any]:
    return {
        "profile": confinement.profile,
        "held": {anchor.value: count for anchor, count in confinement.held.items()},
        "open": list(confinement.open),
        "workloads": confinement.workloads,
    }


def link_document(link: Link) -> dict[str, Any]:
    """One measurement step of `bartizan explain --json`."""
    return {
        "depth": link.depth,
        "measurer": link.measurer,
        "measured": link.measured,
        "at": pointer_document(link.at),
        "tier": link.tier.value,
    }
