"""Collect recorded boot logs and the PCR values known for them.

    python collect_boot_logs.py CORPUS OUT

CORPUS holds the recorded evidence (one folder a source repository, and MANIFEST.tsv); OUT gets every boot log as it is
(`<source>/<file>`), `pcrs.json` (log, bank, PCR or register: value), one log made from a host manifest, and the
attribution of all of them. Nothing here reads a log: what is known of one comes from other files than the log itself.
"""

import csv
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import pack
from typing import Any

KINDS = ("uefi-eventlog crypto-agile", "uefi-eventlog sha1", "ccel", "txt-drtm")
BANKS = {"4": "sha1", "11": "sha256", "12": "sha384", "13": "sha512"}
"""TPM_ALG_ID to bank."""
GO_HASHES = {3: "sha1", 5: "sha256"}
"""Go's crypto.Hash to bank."""
HIRS = "nsacyber_HIRS/HIRS_Utils__src__test__resources__tcgeventlog__{0}"
WINDOWS = "google_go-attestation/x__windows_gcp_shielded_vm__{0}"
TDX_QUOTES = {
    "google_go-eventlog/testdata__eventlogs__ccel__cos-113-intel-tdx.bin": (
        "google_go-tdx-guest/testing__testdata__ccel__cos-113-tdx-quote.dat",
        (1, 2, 3),
    ),
    # This machine went on to measure files into its third register: the quote is ahead of the log there.
    "cc-api_cc-trusted-api/common__golang__cctrusted_base__test_data__ccel_data.bin": (
        "cc-api_cc-trusted-api/common__golang__cctrusted_base__test_data__quote.bin",
        (1, 2),
    ),
}
FIRST_RTMR, RTMR_SIZE = 48 + 328, 48
"""TDX quote, version 4: a header, then TDREPORT's fields before RTMR 0."""
HOST_MANIFEST = "intel-secl_intel-secl/pkg__lib__verifier__test_data__vmware20__host_manifest.json"
DERIVED = "intel-secl_intel-secl/vmware20__host_manifest.derived.bin"
LAUNCH_PCRS = range(17, 23)
NO_ACTION = 3
SHA256 = 11

Banks = dict[str, dict[str, str]]


def place(path: str) -> str:
    """Where a log of the corpus goes: its source's folder, without folders in that."""
    return f"{path.split('/', maxsplit=1)[0]}/{Path(path).name}"


def banks_of_table(table: Mapping[str, Mapping[str, str]]) -> Banks:
    """A table by TPM_ALG_ID, as PCR index to value."""
    return {BANKS[alg]: dict(sorted(values.items(), key=lambda item: int(item[0]))) for alg, values in table.items()}


def banks_of_lines(text: str) -> Banks:
    """One value a line, PCR 0 first."""
    values = {str(pcr): line.strip() for pcr, line in enumerate(text.split())}
    return {"sha1" if len(values["0"]) == 40 else "sha256": values}


def banks_of_rows(rows: list[dict[str, Any]]) -> Banks:
    banks: Banks = {}
    for row in sorted(rows, key=lambda row: row["i"]):
        banks.setdefault(GO_HASHES[row["alg"]], {})[str(row["i"])] = row["d"]
    return banks


def banks_of_quote(quote: bytes, registers: tuple[int, ...]) -> Banks:
    """RTMR 0 is register 1 of the log, and so on."""
    starts = {register: FIRST_RTMR + (register - 1) * RTMR_SIZE for register in registers}
    return {"sha384": {str(register): quote[at : at + RTMR_SIZE].hex() for register, at in starts.items()}}


def known(corpus: Path) -> Iterator[tuple[str, Banks]]:
    """Each log whose PCR values somebody published, and these."""
    for entry in json.loads((corpus / "oracle" / "go-pcrs.dev.json").read_text(encoding="utf-8")).values():
        yield entry["file"], entry["banks"]
    for path in sorted((corpus / "immune-gmbh_guard-oss" / "x").glob("*__pcrs.json")):
        log = path.name.replace("__pcrs.json", "__eventlog.bin")
        yield f"immune-gmbh_guard-oss/x/{log}", banks_of_table(json.loads(path.read_text(encoding="utf-8")))
    for name in ("TpmLog", "TpmLogSHA1"):
        text = (corpus / HIRS.format(f"{name}ExpectedPcrs.txt")).read_text(encoding="ascii")
        yield HIRS.format(f"{name}.bin"), banks_of_lines(text)
    rows = json.loads((corpus / WINDOWS.format("pcrs.json")).read_text(encoding="utf-8"))
    yield WINDOWS.format("eventlog.bin"), banks_of_rows(rows)
    for log, (quote, registers) in TDX_QUOTES.items():
        yield log, banks_of_quote((corpus / quote).read_bytes(), registers)


def derived_log(manifest: Mapping[str, Any]) -> tuple[bytes, Banks]:
    """A dynamic launch as a host manifest tells it, written as a log, and the PCRs that the manifest has.

    The manifest keeps each event's type, digest and tags; the tags become the data.
    """
    spec = b"Spec ID Event03\0" + pack("<IBBBBI", 0, 0, 2, 0, 2, 1) + pack("<HH", SHA256, 32) + b"\0"
    log = pack("<II20sI", 0, NO_ACTION, bytes(20), len(spec)) + spec
    for part in manifest["pcr_event_log_map"]["SHA256"]:
        pcr = part["pcr"]["index"]
        for event in part["tpm_events"] if pcr in LAUNCH_PCRS else ():
            data = "; ".join(event.get("tags", [])).encode()
            log += pack("<III", pcr, int(event["type_id"], 16), 1)
            log += pack("<H", SHA256) + bytes.fromhex(event["measurement"]) + pack("<I", len(data)) + data
    values = {int(row["index"].removeprefix("pcr_")): row["value"] for row in manifest["sha2pcrs"]}
    return log, {"sha256": {str(pcr): values[pcr] for pcr in LAUNCH_PCRS}}


def main(corpus: Path, out: Path) -> None:
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    sources = {row["path"]: (row["source_repo:path@commit"], row["licence"]) for row in rows}
    lines = []
    for row in rows:
        if row["kind"] in KINDS:
            target = out / place(row["path"])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(corpus / row["path"], target)
            lines.append((place(row["path"]), *sources[row["path"]]))
    manifest = json.loads((corpus / HOST_MANIFEST).read_text(encoding="utf-8"))
    raw, values = derived_log(manifest["pcr_manifest"])
    (out / DERIVED).write_bytes(raw)
    source, licence = sources[HOST_MANIFEST]
    lines.append((DERIVED, f"made from {source}", licence))
    table = {place(log): banks for log, banks in known(corpus)} | {DERIVED: values}
    (out / "pcrs.json").write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n", encoding="utf-8")
    origins = [
        path for path in sources if path.endswith(("__pcrs.json", "ExpectedPcrs.txt")) or path.startswith("oracle")
    ]
    origins += [quote for quote, _ in TDX_QUOTES.values()]
    write_attribution(out, lines, [(path, *sources[path]) for path in sorted(origins)])


def write_attribution(out: Path, logs: list[tuple[str, str, str]], values: list[tuple[str, str, str]]) -> None:
    text = ["# Boot logs from public projects", "", "Data only; each log is unchanged unless it says otherwise."]
    text += ["Collected by `tests/vectors/scripts/collect_boot_logs.py`. Source is `repository:path@commit`.", ""]
    text += ["| file | source | licence |", "|---|---|---|"]
    text += [f"| `{path}` | {source} | {licence} |" for path, source, licence in sorted(logs)]
    text += ["", "`pcrs.json` holds the PCR values and TDX registers that are known for some of them, from:", ""]
    text += ["| source | licence |", "|---|---|"]
    text += [f"| {source} | {licence} |" for _, source, licence in values]
    (out / "ATTRIBUTION.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
