"""The same inputs through Keylime, in an interpreter that has it: `python -m bench.keylime NAME FOLDER` prints JSON.

Not part of the product, and not imported by it. Keylime's own functions are called as its verifier calls them; for boot
logs it runs tpm2_eventlog as a child, whose CPU time counts.
"""

import hashlib
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from bench.measure import measure

Work = Callable[[], str]
NAMES = ("quote-rsa2048", "quote-p256", "boot-log", "ima-ascii-1k", "ima-ascii-10k", "ima-ascii-100k")
"""What Keylime can do of the parts: it reads IMA lists in ascii only."""


def quote(folder: Path) -> Work:
    """Checks a quote as `Tpm._tpm2_checkquote` does."""
    from keylime.tpm import tpm_util  # noqa: PLC0415  # only in Keylime's interpreter

    key, message, signature, nonce, values = (
        (folder / name).read_bytes() for name in ("ak.pem", "quote.attest", "quote.sig", "nonce.bin", "pcrs.bin")
    )
    blob = pcr_blob([values[start : start + 32] for start in range(0, len(values), 32)])

    def work() -> str:
        found = tpm_util.checkquote(key, nonce, signature, message, blob, "sha256")
        return hashlib.sha256(bytes.fromhex("".join(found[pcr] for pcr in sorted(found)))).hexdigest()

    return work


def pcr_blob(values: list[bytes]) -> bytes:
    """PCR values as tpm2_quote writes them from memory: 16 selections, then lists of eight digests of 66 bytes."""
    selections = [struct.pack("<HB3sxx", 0x000B, 3, b"\xff\xff\xff")] + [bytes(8)] * 15
    lists = [values[start : start + 8] for start in range(0, len(values), 8)]
    blocks = [struct.pack("<I", len(part)) + b"".join(struct.pack("<H64s", 32, one) for one in part) for part in lists]
    return struct.pack("<I", 1) + b"".join(selections) + struct.pack("<I", len(lists)) + b"".join(blocks)


def boot_log(folder: Path) -> Work:
    """Parses and replays a boot log."""
    from keylime.mba.elparsing import tpm2_tools_elparser  # noqa: PLC0415

    raw = (folder / "boot.bin").read_bytes()

    def work() -> str:
        failure, log = tpm2_tools_elparser.parse_binary_bootlog(raw)
        pcrs = {} if failure else log["pcrs"]["sha256"]
        values = (int(pcrs.get(str(pcr), 0)).to_bytes(32, "big") for pcr in range(24))
        return "refused" if failure else hashlib.sha256(b"".join(values)).hexdigest()

    return work


def ima_list(folder: Path) -> Work:
    """Replays an ascii list to PCR 10."""
    from keylime.agentstates import AgentAttestState  # noqa: PLC0415
    from keylime.common.algorithms import Hash  # noqa: PLC0415
    from keylime.ima import ima  # noqa: PLC0415

    text = (folder / "ascii").read_text(encoding="ascii")
    pcr10 = (folder / "pcr10").read_text(encoding="ascii")

    def work() -> str:
        state = AgentAttestState("bench")
        value, failure = ima.process_measurement_list(state, text.splitlines(), pcrval=pcr10, hash_alg=Hash.SHA256)
        return "refused" if failure else value

    return work


def main() -> None:
    name, folder = sys.argv[1:]
    prepare = quote if name.startswith("quote") else boot_log if name == "boot-log" else ima_list
    print(json.dumps(measure(prepare(Path(folder)))))


if __name__ == "__main__":
    main()
