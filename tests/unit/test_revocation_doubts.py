"""Revocation where the machine's own list, or who let code run, cannot be read: said, and never a pass."""

from dataclasses import replace

from bartizan.app.defaults import default_policy
from bartizan.model.policy import Policy
from bartizan.model.result import AttestationResult, Finding, Tier
from tests.simulator.machine import Machine, good, judged
from tests.unit.cases_platform import AUTHORITY, DBX


def of(result: AttestationResult, check: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.id == check]


def revoking(*certificates: bytes) -> Policy:
    return replace(default_policy(), revoked_certificates=frozenset(certificates))


def with_unread_authority() -> Machine:
    """The machine whose log gives an authority other data than its digest is of."""
    event = good().events[AUTHORITY]
    return good().with_event(AUTHORITY, data=event.data[:-1] + bytes([event.data[-1] ^ 1]), digests=event.digests)


def test_a_dbx_that_no_verified_event_holds_is_told() -> None:
    result = judged(good().without_event(DBX))

    [data] = of(result, "secure-boot.revocation-data")
    assert data.tier is Tier.WARNING
    assert "the machine's own dbx cannot be read" in data.why


def test_an_authority_that_cannot_be_read_may_be_a_revoked_one() -> None:
    result = judged(with_unread_authority(), policy=revoking(bytes(32)))

    [doubt] = [one for one in of(result, "secure-boot.revoked") if one.tier is Tier.NONE]
    assert (doubt.at.pcr, doubt.at.event) == (7, AUTHORITY)
    assert "this authority is not readable from its event" in doubt.why


def test_authorities_that_can_be_read_leave_no_doubt() -> None:
    result = judged(good(), policy=revoking(bytes(32)))

    assert [one.tier for one in of(result, "secure-boot.revoked")] == [Tier.AFFIRMING]
