"""Host manifests of another product: the events of a dynamic launch lead to the PCR values that stand beside them.

The manifests are read here and not by the product: their PCR values are nobody's signed word.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bartizan.model.boot_log import BootLog, Event, LogFormat
from bartizan.model.digest import HashAlg, PcrValues
from bartizan.verify.boot import verify_boot
from bartizan.verify.replay import replay

LAUNCH = Path(__file__).parent.parent / "vectors" / "launch"
NO_ACTION = 3
STARTUP_LOCALITY_3 = b"StartupLocality\0\x03"
LISTS = {"sha1pcrs": HashAlg.SHA1, "sha2pcrs": HashAlg.SHA256}


def manifest(name: str) -> Mapping[str, Any]:
    document: dict[str, Any] = json.loads((LAUNCH / name).read_text("utf-8"))
    found: Mapping[str, Any] = document.get("host_manifest", document)["pcr_manifest"]
    return found


def index(text: str) -> int:
    return int(text.removeprefix("pcr_"))


def quoted(pcrs: Mapping[str, Any], alg: HashAlg) -> PcrValues:
    """The values of one bank."""
    (rows,) = (pcrs[name] or [] for name, bank in LISTS.items() if bank is alg)
    return {index(row["index"]): bytes.fromhex(row["value"]) for row in rows}


def rows(pcrs: Mapping[str, Any], alg: HashAlg) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """PCR and event, in both forms that these manifests have had."""
    for part in pcrs["pcr_event_log_map"].get(alg.label.upper()) or []:
        pcr = part["pcr"]["index"] if "pcr" in part else index(part["pcr_index"])
        yield from ((pcr, row) for row in part.get("tpm_events") or part["event_log"])


def event(number: int, pcr: int, row: Mapping[str, Any], alg: HashAlg) -> Event:
    kind = int(row.get("type_id", "0x402"), 16)
    data = STARTUP_LOCALITY_3 if kind == NO_ACTION and "StartupLocality3" in row.get("tags", ()) else b""
    digest = bytes.fromhex(row.get("measurement") or row["value"])
    return Event(index=number, offset=0, pcr=pcr, reported_type=kind, digests={alg: digest}, data=data)


def log_of_manifest(pcrs: Mapping[str, Any], alg: HashAlg) -> BootLog:
    events = tuple(event(number, pcr, row, alg) for number, (pcr, row) in enumerate(rows(pcrs, alg)))
    return BootLog(format=LogFormat.TXT, algorithms=(alg,), events=events)


@pytest.mark.parametrize(
    ("name", "alg", "explained"),
    [
        ("trust_report.json", HashAlg.SHA1, {17, 18}),
        ("trust_report.json", HashAlg.SHA256, {15, 17, 18}),
        # This one was written with the values of seven PCRs only, 17 not among them.
        ("sample_host_manifest.json", HashAlg.SHA1, {18}),
        ("sample_host_manifest.json", HashAlg.SHA256, {18}),
        ("vmware20_host_manifest.json", HashAlg.SHA256, {17, 18, 19, 20, 21}),
        ("intel20_host_manifest.json", HashAlg.SHA1, {*range(10)}),
        ("intel20_host_manifest.json", HashAlg.SHA256, {*range(10), 15}),
    ],
)
def test_the_events_lead_to_the_values_beside_them(name: str, alg: HashAlg, explained: set[int]) -> None:
    pcrs = manifest(name)
    values = quoted(pcrs, alg)

    replayed = replay(log_of_manifest(pcrs, alg), alg)

    assert {pcr for pcr, value in replayed.items() if values.get(pcr) == value} == explained
    assert {pcr for pcr in replayed if pcr in values} == explained


def test_a_launch_is_explained_by_the_events_and_by_no_others() -> None:
    pcrs = manifest("vmware20_host_manifest.json")
    log = log_of_manifest(pcrs, HashAlg.SHA256)
    values = {
        HashAlg.SHA256: {pcr: value for pcr, value in quoted(pcrs, HashAlg.SHA256).items() if pcr in range(17, 22)}
    }
    shorter = BootLog(format=log.format, algorithms=log.algorithms, events=log.events[:-1])

    whole = verify_boot(None, values, pinned=HashAlg.SHA256, launch_log=log)
    cut = verify_boot(None, values, pinned=HashAlg.SHA256, launch_log=shorter)

    assert whole.launched
    assert all(whole.explains(pcr, HashAlg.SHA256) for pcr in range(17, 22))
    assert not cut.explains(21, HashAlg.SHA256)
