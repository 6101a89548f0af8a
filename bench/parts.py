"""What is measured of Bartizan: each part is the product's own functions, all checks on, from bytes to verdict.

`python -m bench.parts NAME FOLDER` measures one in this process and prints JSON.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bartizan.app.attest_node import Rules, attest_node
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.app.evidence_folder import read_recording
from bartizan.app.learn_reference import propose_from
from bartizan.app.roots import load_roots
from bartizan.appraise.context import index_reference
from bartizan.formats.ima import decode_ima
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_attest, decode_public, decode_signature
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.evidence import Challenge, Enrolment, ReportedQuote
from bartizan.model.ima import IMA_PCR
from bartizan.verify.boot import reset_values, verify_boot
from bartizan.verify.ima import verify_ima
from bartizan.verify.quote import verify_quote
from bartizan.verify.replay import replay
from bench.again import NEW, appraise_again
from bench.lists import BOOT_PCRS, SIZES
from bench.measure import measure
from bench.node import NODE

BANK = HashAlg.SHA256
Work = Callable[[], str]


def quote(folder: Path) -> Work:
    """Decode a quote, its signature and its key, and verify it."""
    raw = {name: (folder / name).read_bytes() for name in ("quote.attest", "quote.sig", "ak.pub", "nonce.bin")}
    values = (folder / "pcrs.bin").read_bytes()
    pcrs = {BANK: {index: values[index * BANK.size :][: BANK.size] for index in range(PCR_COUNT)}}
    challenge = Challenge(
        extra_data=raw["nonce.bin"],
        selection={BANK: frozenset(range(PCR_COUNT))},
        pinned=BANK,
        recorded=False,
    )

    def work() -> str:
        reported = ReportedQuote(
            attest=decode_attest(raw["quote.attest"]), signature=decode_signature(raw["quote.sig"])
        )
        proved = verify_quote(reported, ak=decode_public(raw["ak.pub"]), untrusted_pcrs=pcrs, challenge=challenge)
        return BANK.digest(b"".join(proved.pcrs[BANK].values())).hex()

    return work


def boot_log(folder: Path) -> Work:
    """Decode a boot log, replay it, hold it against PCR values and judge its inner consistency."""
    raw = (folder / "boot.bin").read_bytes()
    expected = replay(decode_boot_log(raw), BANK)
    values = {pcr: expected.get(pcr, reset_values(pcr, BANK, launched=False)[0]) for pcr in range(PCR_COUNT)}
    checked = BANK.digest(b"".join(expected.get(pcr, bytes(BANK.size)) for pcr in range(PCR_COUNT))).hex()

    def work() -> str:
        boot = verify_boot(decode_boot_log(raw), {BANK: values}, pinned=BANK)
        return checked if all(part.explained for part in boot.explanations) else "not explained"

    return work


def ima_list(folder: Path, form: str) -> Work:
    """Decode an IMA list, replay it, hold it against PCR 10 and boot_aggregate, and check its own column."""
    raw = (folder / form).read_bytes()
    pcr10 = bytes.fromhex((folder / "pcr10").read_text(encoding="ascii"))
    pcrs = {BANK: {**dict(enumerate(BOOT_PCRS)), IMA_PCR: pcr10}}

    def work() -> str:
        decoded = decode_ima(raw)
        proved = verify_ima(decoded, pcrs, pinned=BANK)
        whole = proved.matched == len(decoded.entries) and proved.aggregate_matches
        return pcr10.hex() if whole else "not replayed"

    return work


def appraisal(folder: Path) -> Work:
    """Read a recorded boot from its folder, decode, verify and appraise it against Reference Values."""
    rules = Rules(
        catalogue=catalogue(),
        levels=levels(),
        policy=default_policy(),
        reference=index_reference(propose_from(folder)),
    )
    enrolment = Enrolment(anchors=load_roots(folder / "roots"))
    now = datetime(2027, 1, 1, tzinfo=UTC)

    def work() -> str:
        recording = read_recording(folder)
        outcome = attest_node(
            recording.evidence, challenge=recording.challenge, enrolment=enrolment, rules=rules, now=now
        )
        return f"level {outcome.result.level}"

    return work


def further_appraisal(folder: Path, new: int) -> Work:
    """Appraise a node again; its inputs are made here, those of the floor lie in the folder."""
    assert folder.is_dir()
    return appraise_again(new)


PARTS: dict[str, Callable[[Path], Work]] = {
    "quote-rsa2048": quote,
    "quote-p256": quote,
    "boot-log": boot_log,
    "appraise-full": appraisal,
    **{name: partial(further_appraisal, new=new) for name, new in NEW.items()},
    **{f"ima-binary-{size}": partial(ima_list, form="binary") for size in SIZES},
    **{f"ima-ascii-{size}": partial(ima_list, form="ascii") for size in SIZES},
    **NODE,
}


def forgetting(work: Work) -> Work:
    """The same work with every cache of Bartizan's own emptied before it, as for evidence never seen."""
    modules = [module for name, module in sys.modules.items() if name.startswith("bartizan")]
    caches = {
        id(found): found for module in modules for found in vars(module).values() if hasattr(found, "cache_clear")
    }
    if not caches:
        return work

    def cold() -> str:
        for cache in caches.values():
            cache.cache_clear()
        return work()

    return cold


def main() -> None:
    name, folder = sys.argv[1:]
    work = PARTS[name](Path(folder))
    print(json.dumps(measure(forgetting(work))))


if __name__ == "__main__":
    main()
