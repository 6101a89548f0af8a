"""The agent's keys against a real emulated TPM: contexts, resets, passwords, another TPM."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bartizan.agent.errors import Unusable
from bartizan.agent.keys import Keys, flush_all, read_attest, tpm_opener
from bartizan.agent.state import Store
from bartizan.collect.codes import TpmError
from bartizan.collect.marshal import sized, u32
from bartizan.collect.tpm import ENDORSEMENT, Tpm
from bartizan.connectors.swtpm.launch import power_on
from bartizan.connectors.swtpm.manufacture import Factory, manufacture
from bartizan.connectors.swtpm.process import RunningTpm, run_tpm
from tests.integration.agent_host import Host

ALL = {11: tuple(range(24))}
HIERARCHY_CHANGE_AUTH = 0x129
"""TPM_CC; TPM 2.0 Part 2, 6.5.2."""
DATA = bytes(32)
PASSWORD = b"owner's"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "keys")
    made.prepare()
    return made


@pytest.fixture
def keys(host: Host, store: Store) -> Keys:
    return Keys(tpm_opener(host.address), store)


def test_the_attestation_key_is_made_once(host: Host, keys: Keys, store: Store) -> None:
    first = keys.identity()

    assert keys.identity() == first
    assert Keys(tpm_opener(host.address), store).identity() == first
    assert first.banks == {4: True, 11: True, 12: True}
    assert sorted(first.certificates) == [0x01C00002, 0x01C00016, 0x01C08000]


def test_a_context_spares_the_parent_and_ends_with_a_reset(
    host: Host, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.quote(DATA, ALL)
    with monkeypatch.context() as patch:
        patch.setattr("bartizan.agent.keys.open_ek", lambda *_: pytest.fail("the parent was loaded"))
        before = keys.quote(DATA, ALL)
    host.boot()
    after = keys.quote(DATA, ALL)

    assert after.reset_count == before.reset_count + 1
    assert before.steady
    assert after.steady


def test_pcrs_that_never_stand_still_are_said(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    quotes = []
    quote = Tpm.quote

    def busy(tpm: Tpm, *arguments: object) -> tuple[bytes, bytes]:
        quotes.append(quote(tpm, *arguments))  # type: ignore[arg-type]  # passed on
        tpm.pcr_extend(10, {11: bytes(32)})
        return quotes[-1]

    monkeypatch.setattr(Tpm, "quote", busy)
    found = keys.quote(DATA, ALL)

    assert not found.steady
    assert len(quotes) == 5
    assert found.attest == quotes[-1][0]
    assert read_attest(found.attest).extra_data == DATA


def test_another_tpm_gets_a_key_of_its_own_and_the_former_one_finds_its_again(
    factory: Factory, host: Host, keys: Keys, store: Store
) -> None:
    first = keys.identity()
    (state,) = manufacture(factory, ["replaced"])
    with run_tpm(state) as other:
        with other.connect() as tpm:
            power_on(other.control, tpm)
        moved = Keys(tpm_opener(f"tcp:{other.address[0]}:{other.address[1]}"), store)
        quoted = moved.quote(DATA, ALL)
        second = moved.identity()

    assert quoted.steady
    assert second.ak != first.ak
    assert second.ek != first.ek
    assert Keys(tpm_opener(host.address), store).identity() == first
    assert len(store.load_keys()) == 2


@contextmanager
def owned(running: RunningTpm) -> Iterator[None]:
    """The endorsement hierarchy has a password meanwhile."""
    with running.connect() as tpm:
        change_password(tpm, PASSWORD)
    try:
        yield
    finally:
        with Tpm(running.connect()._channel._transport, endorsement=PASSWORD) as tpm:
            change_password(tpm, b"")


def change_password(tpm: Tpm, password: bytes) -> None:
    message = u32(HIERARCHY_CHANGE_AUTH) + u32(ENDORSEMENT) + u32(len(tpm._endorsement)) + tpm._endorsement
    raw = message + sized(password)
    answer = tpm._channel._transport.exchange(b"\x80\x02" + u32(6 + len(raw)) + raw)
    assert answer[6:10] == bytes(4)


def test_a_password_of_the_endorsement_hierarchy_is_used(
    host: Host, running: RunningTpm, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_bytes(PASSWORD + b"\n")
    file.chmod(0o600)
    with owned(running):
        with pytest.raises(TpmError, match="password"):
            Keys(tpm_opener(host.address), store).identity()
        keys = Keys(tpm_opener(host.address, file), store)
        assert keys.identity().ak
        assert keys.quote(DATA, ALL).steady


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(PASSWORD)
    file.chmod(0o640)
    with pytest.raises(Unusable, match="chmod 600"):
        tpm_opener(None, file)
    file.chmod(0o600)
    file.write_bytes(bytes(65))
    with pytest.raises(Unusable, match="at most 64"):
        tpm_opener(None, file)
    with pytest.raises(Unusable, match="No such file"):
        tpm_opener(None, tmp_path / "none")


@pytest.mark.parametrize("address", ["", "swtpm", "tcp:a", "tcp:a:b", "unix:relative", "tcp:a:1/"])
def test_what_is_no_address_of_a_tpm_is_refused(address: str) -> None:
    with pytest.raises(Unusable, match="TPM address"):
        tpm_opener(address)


@pytest.mark.parametrize("address", ["/dev/none", "unix:/none", "tcp:127.0.0.1:1", None])
def test_a_tpm_that_is_not_there_is_said(address: str | None) -> None:
    with pytest.raises(TpmError, match="cannot be"), tpm_opener(address)():
        pass


def test_everything_left_in_the_tpm_is_flushed(tpm: Tpm) -> None:
    flush_all(tpm)

    assert tpm.handles(0x80000000) == ()
