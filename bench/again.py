"""A node whose boot is known, attested once more: nothing new, or some IMA entries. The machine is the tests' own."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bartizan.app.attest_again import Again, ReportedAgain, attest_again, begin
from bartizan.app.attest_node import Rules, attest_node
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.formats.tpm2 import decode_attest, decode_signature, encode_public, encode_signature
from bartizan.model.evidence import ReportedQuote
from bench.quotes import export_quote
from tests.simulator.live_boot import CLOCK, live
from tests.simulator.machine import AK, CHALLENGE, ENROLMENT, reference
from tests.simulator.tpm_ca import NOW

NEW = {"appraise-again": 0, "appraise-again-20": 20}
"""Part to the number of IMA entries that are new."""
BOOT = live("good")
ALL = len(BOOT.entries)


def sent_after(new: int) -> ReportedAgain:
    """What the node sends when the Verifier holds all but so many entries."""
    return BOOT.again(ALL - new, ALL, clock=CLOCK + 1)


def write_again(folder: Path, new: int) -> None:
    """What the floor takes for the same work."""
    folder.mkdir()
    sent = sent_after(new)
    values = {
        bank.label: {str(pcr): value.hex() for pcr, value in some.items()} for bank, some in sent.untrusted_pcrs.items()
    }
    (folder / "quote.attest").write_bytes(sent.quote.attest.raw)
    (folder / "quote.sig").write_bytes(encode_signature(sent.quote.signature))
    (folder / "ak.pub").write_bytes(encode_public(AK))
    (folder / "pcrs_at_quote.json").write_text(json.dumps(values), encoding="ascii")
    (folder / "new_entries").write_bytes(sent.new_entries)
    export_quote(folder)


def appraise_again(new: int) -> Callable[[], str]:
    """Decode a quote and the new entries, verify and appraise them on top of what is known."""
    rules = Rules(catalogue=catalogue(), levels=levels(), policy=default_policy(), reference=reference())
    first = attest_node(BOOT.full(ALL - new), challenge=CHALLENGE, enrolment=ENROLMENT, rules=rules, now=NOW)
    state = begin(first, enrolment=ENROLMENT, rules=rules, now=NOW)
    sent = sent_after(new)
    attest, signature = sent.quote.attest.raw, encode_signature(sent.quote.signature)

    def work() -> str:
        quote = ReportedQuote(attest=decode_attest(attest), signature=decode_signature(signature))
        found = attest_again(state, replace(sent, quote=quote), challenge=CHALLENGE, rules=rules, now=NOW)
        return f"level {found.result.level}" if isinstance(found, Again) else found.reason

    return work
