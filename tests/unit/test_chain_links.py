"""Who measured whom, as links: what each stands on, and what is shown where nothing explains a PCR."""

from dataclasses import replace

from bartizan.app.attest_node import Outcome
from bartizan.app.chain import Link, chain_of
from bartizan.model.boot_log import EventType
from bartizan.model.evidence import ReportedEvidence
from bartizan.model.result import Tier
from tests.simulator.machine import Machine, attested, digests, file_line, good, measured, quoting

LAUNCH = (measured(17, EventType.TXT_SINIT_PUBKEY_HASH, b"key"), measured(18, EventType.TXT_MLE_HASH, b"code"))


def links_of(evidence: ReportedEvidence) -> tuple[Link, ...]:
    outcome: Outcome = attested(evidence)
    assert outcome.verified is not None
    return chain_of(outcome.verified, outcome.result.findings)


def behind_the_log(pcr: int) -> ReportedEvidence:
    """After the boot something was measured into this PCR, and no log says what."""
    values = good().pcrs()
    late = {alg: {**bank, pcr: alg.digest(bank[pcr] + alg.digest(b"evil"))} for alg, bank in values.items()}
    return quoting(good().evidence(), late)


def said(links: tuple[Link, ...]) -> list[tuple[int, str, str]]:
    """Depth, who, and the start of what."""
    return [(link.depth, link.measurer, link.measured.partition(":")[0].partition(",")[0]) for link in links]


def bad(links: tuple[Link, ...]) -> list[tuple[int | None, Tier]]:
    return [(link.at.pcr, link.tier) for link in links if link.tier is not Tier.AFFIRMING]


def test_the_links_of_a_good_machine_all_hold_and_end_with_the_list() -> None:
    links = links_of(good().evidence())

    assert not bad(links)
    assert [(depth, who) for depth, who, _ in said(links)] == [
        (0, "firmware, which nobody measured first,"),
        (1, "firmware"),
        (1, "firmware"),
        (1, "firmware"),
        (2, "image of event 23"),
        (3, "image of event 29"),
        *[(4, "loader")] * 4,
        (5, "kernel"),
    ]
    assert links[0].measured == "itself: 4 events in PCR 0"


def test_firmware_that_hardware_measured_is_not_its_own_witness() -> None:
    told = replace(
        measured(0, EventType.NO_ACTION, b"StartupLocality\0\x03"),
        digests={alg: bytes(len(digest)) for alg, digest in digests(b"").items()},
    )
    first = links_of(replace(good(), locality=3).inserted(0, told).evidence())[0]

    assert first.measurer == "an authenticated code module (locality 3)"
    assert first.measured == "firmware: 4 events in PCR 0"


def test_an_image_without_a_path_before_the_command_line_is_called_the_kernel() -> None:
    links = links_of(good().evidence())

    assert [link.measured for link in links if link.at.event == 40] == ["kernel, 14186432 bytes in memory"]


def test_an_image_without_a_path_that_no_command_line_follows_is_not_called_so() -> None:
    lines = [event.index for event in good().events if event.data.startswith(b"kernel_cmdline")]
    links = links_of(good().without_event(*lines).evidence())

    assert "image without a device path" in [what for _, _, what in said(links)]


def test_a_pcr_extended_behind_the_log_is_a_broken_link_above_loader_and_kernel() -> None:
    links = links_of(behind_the_log(4))
    (gap,) = [link for link in links if link.at.pcr == 4]

    assert gap.measured == "something into PCR 4: not explained, its events prove nothing"
    assert (gap.depth, gap.tier) == (1, Tier.CONTRAINDICATED)
    below = links[links.index(gap) + 1 :]
    assert {link.depth for link in below if link.measurer == "loader"} == {2}
    assert [link.depth for link in below if link.measurer == "kernel"] == [3]
    assert (10, Tier.CONTRAINDICATED) in bad(links), "boot_aggregate is not over these PCRs"


def test_each_unexplained_pcr_has_its_own_link_in_its_place() -> None:
    for pcr, depth in ((0, 0), (2, 1), (3, 1), (7, 1), (8, 4), (9, 4), (11, 4)):
        (gap,) = [link for link in links_of(behind_the_log(pcr)) if "not explained" in link.measured]
        assert (gap.at.pcr, gap.depth) == (pcr, depth)
        assert gap.tier in (Tier.CONTRAINDICATED, Tier.NONE)


def test_the_settings_that_are_explained_stand_beside_one_that_is_not() -> None:
    links = links_of(behind_the_log(3))

    assert any(link.measured.endswith("events in PCR 1, 5-6") for link in links)


def test_without_a_log_nothing_is_affirmed_about_the_boot() -> None:
    links = links_of(replace(good().evidence(), boot_log=None))

    assert {0, 1, 4, 7, 8, 9} <= {link.at.pcr for link in links if "not explained" in link.measured}
    assert {link.tier for link in links if link.at.pcr != 10} == {Tier.NONE}
    assert "no event tells what it was" in links[0].measured


def test_a_dynamic_launch_is_a_branch_of_its_own_after_the_list() -> None:
    links = links_of(replace(good(), launch=LAUNCH).evidence())

    assert [link.measurer for link in links[-2:]] == ["kernel", "the CPU (dynamic launch)"]
    assert (links[-1].depth, links[-1].tier) == (0, Tier.WARNING)


def test_a_launch_that_nothing_explains_does_not_hold() -> None:
    machine: Machine = replace(good(), launch=LAUNCH)

    assert links_of(replace(machine.evidence(), launch_log=None))[-1].tier is Tier.NONE


def test_a_tampered_file_breaks_the_link_to_the_list_and_no_other() -> None:
    machine = good().running(file_line(b"/usr/bin/cut", b"tampered"))

    assert bad(links_of(machine.evidence())) == [(10, Tier.CONTRAINDICATED)]


def test_a_second_kernel_is_seen_at_the_link_to_the_list() -> None:
    assert bad(links_of(replace(good(), starts=2).evidence())) == [(10, Tier.WARNING)]


def test_a_node_without_a_list_has_no_link_to_it() -> None:
    links = links_of(replace(good().evidence(), ima=None))

    assert 10 not in {link.at.pcr for link in links}
