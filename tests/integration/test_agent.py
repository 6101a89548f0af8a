"""The agent and a Verifier over real HTTP, with a real emulated TPM that a recorded boot was replayed into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bartizan.agent.collector import IMA_LIST, LocalCollector
from bartizan.agent.loop import Agent, Parts, State
from bartizan.agent.messages import Asked
from bartizan.agent.state import Node, Store
from bartizan.agent.transport import HttpService
from bartizan.collect.templates import EK_RSA2048
from bartizan.collect.tpm import ENDORSEMENT, Tpm
from bartizan.model.digest import HashAlg
from tests.integration.agent_host import POSTURE, Host, measured
from tests.integration.agent_verifier import NODE, Document, Verifier, serving
from tests.unit.agent_parts import SettableClock


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "state")
    made.prepare()
    return made


@pytest.fixture
def agent(host: Host, verifier: Verifier, store: Store) -> Iterator[Agent]:
    with serving(verifier) as url:
        made = make_agent(host, url, store)
        yield made
        made.close()


def make_agent(host: Host, url: str, store: Store) -> Agent:
    node = store.load_node() or Node(url, None, "compute-1", "compute", None, "a-join-token")
    parts = Parts(HttpService(url, None), LocalCollector(host.machine(), store), store, SettableClock(), print)
    return Agent(node._replace(service=url), parts)


def attest(agent: Agent, verifier: Verifier) -> Document:
    """Go on until one more attestation was judged; what was sent for it."""
    verifier.result = None
    while verifier.result is None:
        agent.hurry()
        agent.step()
        assert agent.state is not State.BACKING_OFF, agent.progress.last_error
    return verifier.seen[-1][1]


def test_it_enrols_and_attests_and_sends_less_the_second_time(host: Host, agent: Agent, verifier: Verifier) -> None:
    first = attest(agent, verifier)
    host.measure(b"/usr/bin/new")
    second = attest(agent, verifier)
    third = attest(agent, verifier)

    assert [path.rpartition("/")[2] for path, _ in verifier.seen] == ["enrol", "activate", *["evidence"] * 3]
    assert agent.node.node == NODE
    assert agent.node.token is None
    assert first["boot"].keys() == {"boot_log", "command_line"}
    assert first["posture"] == POSTURE
    assert first["ima"]["first"] == 0
    assert "boot" not in second
    assert second["posture_digest"] == HashAlg.SHA256.digest(POSTURE)
    assert second["ima"]["entries"] == measured(b"/usr/bin/new")
    assert third["ima"] == {"first": second["ima"]["first"] + 1, "entries": b""}
    assert verifier.result is not None
    assert agent.progress.level == verifier.result.level >= 2
    assert not agent.progress.contraindicated


def test_after_a_reboot_everything_is_sent_again(host: Host, agent: Agent, verifier: Verifier) -> None:
    attest(agent, verifier)
    host.boot()
    sent = attest(agent, verifier)

    assert sent["boot"]["boot_log"]
    assert sent["ima"]["first"] == 0
    assert verifier.result is not None
    assert agent.progress.level == verifier.result.level >= 2


def test_a_new_process_goes_on_where_the_old_one_was(
    host: Host, agent: Agent, verifier: Verifier, store: Store
) -> None:
    attest(agent, verifier)
    host.measure(b"/usr/bin/new")
    store.save_node(agent.node)
    fresh = make_agent(host, agent.node.service, store)
    sent = attest(fresh, verifier)
    fresh.close()

    assert [path.rpartition("/")[2] for path, _ in verifier.seen[3:]] == ["challenge", "evidence"]
    assert "boot" not in sent
    assert sent["ima"]["entries"] == measured(b"/usr/bin/new")


def test_a_posture_that_changed_is_sent(host: Host, agent: Agent, verifier: Verifier) -> None:
    attest(agent, verifier)
    host.posture = b'{"a":2}'

    assert attest(agent, verifier)["posture"] == b'{"a":2}'


def test_a_list_that_became_shorter_is_sent_in_full_with_a_note(host: Host, agent: Agent, verifier: Verifier) -> None:
    host.measure(b"/usr/bin/evil")
    attest(agent, verifier)
    path = host.root / IMA_LIST
    path.write_bytes(path.read_bytes().removesuffix(measured(b"/usr/bin/evil")))
    sent = attest(agent, verifier)

    assert sent["ima"]["first"] == 0
    assert "boot" in sent
    assert len(sent["notes"]) == 1
    assert sent["notes"][0].startswith("IMA list: ")
    assert sent["notes"][0].endswith(" before; sent in full")


def test_no_slot_of_the_tpm_stays_occupied(host: Host, agent: Agent, verifier: Verifier) -> None:
    for _ in range(5):
        attest(agent, verifier)

    with host.running.connect() as tpm:
        assert tpm.handles(0x80000000) == tpm.handles(0x02000000) == ()


def test_a_quote_for_all_banks_fits_its_pcrs(host: Host, store: Store) -> None:
    collector = LocalCollector(host.machine(), store)
    banks = {alg: tuple(range(24)) for alg in collector.identity().banks}
    evidence = collector.evidence(Asked("n", bytes(16), banks))

    assert {alg: len(values) for alg, values in evidence.pcrs.items()} == {4: 480, 11: 768, 12: 1152}
    assert not evidence.notes


def abandon(tpm: Tpm) -> None:
    """A program that dies with a key loaded."""
    with tpm.primary(ENDORSEMENT, EK_RSA2048.shared + EK_RSA2048.unique):
        tpm.close()
        raise ConnectionError


def test_keys_that_somebody_left_loaded_are_flushed(host: Host, store: Store) -> None:
    for _ in range(3):
        with pytest.raises(ConnectionError), host.running.connect() as tpm:
            abandon(tpm)

    assert LocalCollector(host.machine(), store).identity().ak
