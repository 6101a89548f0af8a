"""The life of a set by commands: proposed → approved, within a window → retired → revoked, and no step back."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bartizan.app.reference_folder import read_reference, write_reference
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceSet, ReferenceState
from bartizan.reference.life_cycle import STEPS
from tests.unit.cli_runner import BOOTS, Ran, judge, run

COMMANDS = {"approve": "approved", "retire": "retired", "revoke": "revoked"}
EVENT = ReferenceEvent(pcr=4, digests={HashAlg.SHA256: bytes(32)}, label="a loader")


@pytest.fixture
def proposed(tmp_path: Path) -> Path:
    """A set that waits for approval."""
    ran = run("reference", "propose", BOOTS / "good", "--out", tmp_path / "ref", "--proposed")
    assert ran.code == 0
    return tmp_path / "ref"


def life(command: str, reference: Path, *more: str | Path) -> Ran:
    return run("reference", command, reference, *more)


def level(reference: Path) -> tuple[int, bool]:
    document = judge("good", reference, "--json").document
    return document["level"], document["contraindicated"]


def test_a_set_lives_from_its_proposal_to_its_revocation(proposed: Path) -> None:
    assert level(proposed) == (2, False)

    assert life("approve", proposed, "--until", "2130-01-01T00:00:00Z").code == 0
    assert level(proposed) == (4, False)

    assert life("limit", proposed, "--until", "2020-01-01T00:00:00Z").code == 0
    assert level(proposed) == (2, False)

    assert life("retire", proposed).code == 0
    assert level(proposed) == (2, False)

    assert life("revoke", proposed).code == 0
    assert level(proposed) == (2, True)


@pytest.mark.parametrize(("state", "command"), [(state, command) for state in ReferenceState for command in COMMANDS])
def test_only_what_may_follow_follows(tmp_path: Path, state: ReferenceState, command: str) -> None:
    held = ReferenceSet(name="s", source="a test", events=(EVENT,), files=(), digest="", state=state)
    write_reference(held, tmp_path)
    wanted = ReferenceState(COMMANDS[command])
    ran = life(command, tmp_path, "--json")
    after = read_reference(tmp_path).state

    if wanted in STEPS[state]:
        assert (ran.code, ran.document["state"], after) == (0, wanted.value, wanted)
        assert ran.document["digest"] == f"sha256:{read_reference(tmp_path).digest}"
    else:
        assert (ran.code, after) == (2, state)
        assert f"the set s is {state.value}" in ran.document["error"]["why"]


def test_no_state_follows_itself_and_none_leads_back() -> None:
    order = list(ReferenceState)

    assert all(order.index(after) > order.index(before) for before, steps in STEPS.items() for after in steps)


@pytest.mark.parametrize("over", ["retire", "revoke"])
def test_a_set_that_is_over_gets_no_other_window(proposed: Path, over: str) -> None:
    life(over, proposed)
    ran = life("limit", proposed, "--until", "2130-01-01T00:00:00Z")

    assert ran.code == 2
    assert "it counts at no time" in ran.err


def test_whoever_approves_signs(proposed: Path, tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub").write_bytes(public)
    run("reference", "sign", proposed, "--key", tmp_path / "key.pem")
    signed = judge("good", proposed, "--reference-key", tmp_path / "key.pub", "--json")
    life("approve", proposed)
    unsigned = judge("good", proposed, "--reference-key", tmp_path / "key.pub", "--json")
    life("retire", proposed, "--key", tmp_path / "key.pem")

    assert signed.document["level"] == 2
    assert unsigned.code == 2
    assert judge("good", proposed, "--reference-key", tmp_path / "key.pub", "--json").document["level"] == 2


def test_people_read_the_state(proposed: Path) -> None:
    said = life("approve", proposed, "--from", "2026-01-01T00:00:00Z").out

    assert "approved from 2026-01-01 00:00 UTC" in " ".join(said.split())


def test_a_window_that_ends_before_it_begins_is_refused(proposed: Path) -> None:
    ran = life("approve", proposed, "--from", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z")

    assert ran.code == 2
    assert read_reference(proposed).state is ReferenceState.PROPOSED
