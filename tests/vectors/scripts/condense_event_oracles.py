"""Condense other people's decodings of boot logs into small JSON tables for `tests/unit/test_event_oracles.py`.

    python condense_event_oracles.py CORPUS OUT

CORPUS holds the recorded evidence (one folder a source repository); OUT gets one table a log. Needs PyYAML, which the
tests do not. What is kept: type, PCR and size of each event, and the fields that two decoders can be compared by.
Signature data is kept as SHA-256, texts up to 200 characters, partition attributes not at all (one source rounds them).
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

KEYLIME = "keylime_python3-uefi-eventlog/testing__good_logs__{0}__parsed-tpm2-tools-5.5__fixed__{1}.json"
TOOLS = "tpm2-software_tpm2-tools/test__integration__fixtures__event-pretty__{0}.yaml"
LOGS = "keylime_python3-uefi-eventlog/testing__good_logs__{0}__{1}.bin"
FIXTURE = "tpm2-software_tpm2-tools/test__integration__fixtures__{0}"
SOURCES = {
    **{
        LOGS.format(machine, name): KEYLIME.format(machine, name)
        for machine, name in (
            ("inspur", "inspur"),
            ("intel_svr", "intel_svr"),
            ("puiterwijk", "puiterwijk"),
            ("rhcos", "rhcos"),
            ("rhel", "bootlog-5.0.0-rhel-20210423T133156Z_8b0347a"),
            ("thinkpad", "p511"),
            ("ubuntu_qemu", "css-flex14vm4-bootlog"),
        )
    },
    **{
        FIXTURE.format(name): TOOLS.format(name)
        for name in ("event-arch-linux.bin", "event-bootorder.bin", "event-sd-boot-fedora37.bin")
    },
    "google_go-eventlog/testdata__eventlogs__tpm__ubuntu-2104-no-dbx.bin": TOOLS.format(
        "event-gce-ubuntu-2104-log.bin"
    ),
}
LONGEST_TEXT = 200
NAMELESS = {"(null)": None}
"""What the C library printed where `tpm2_eventlog` had no text."""


def sha256(hexadecimal: str) -> str:
    return hashlib.sha256(bytes.fromhex(hexadecimal)).hexdigest()


def variable(event: dict[str, Any]) -> dict[str, Any]:
    data = event.get("VariableData")
    found: dict[str, Any] = {
        "vendor": event["VariableName"],
        "name": event["UnicodeName"],
        "size": event["VariableDataLength"],
    }
    if isinstance(data, list) and data and "SignatureType" in data[0]:
        found["lists"] = [
            [each["SignatureType"], [[key["SignatureOwner"], sha256(key["SignatureData"])] for key in each["Keys"]]]
            for each in data
        ]
    elif isinstance(data, list) and data and "SignatureOwner" in data[0]:
        found["authority"] = [data[0]["SignatureOwner"], sha256(data[0]["SignatureData"])]
    elif isinstance(data, dict) and "FilePathListLength" in data:
        found["option"] = [data["Description"], enabled(data), data["DevicePath"]]
    elif isinstance(data, dict) and "Enabled" in data:
        found["flag"] = enabled(data)
    elif isinstance(data, list) and event["UnicodeName"] == "BootOrder":
        found["order"] = data
    return found


def enabled(data: dict[str, Any]) -> bool:
    return data["Enabled"] in ("Yes", True)


def partition_table(event: dict[str, Any]) -> dict[str, Any]:
    header = event["Header"]
    keys = ("PartitionTypeGUID", "UniquePartitionGUID", "StartingLBA", "EndingLBA")
    return {
        "disk": header["DiskGUID"],
        "usable": [header["FirstUsableLBA"], header["LastUsableLBA"]],
        "partitions": [[each[key] for key in keys] for each in event["Partitions"]],
        "names": [NAMELESS.get(each["PartitionName"], each["PartitionName"]) for each in event["Partitions"]],
    }


def condensed(event: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"pcr": event["PCRIndex"], "type": event["EventType"], "size": event["EventSize"]}
    body = event.get("Event")
    if not isinstance(body, dict):
        return row | ({"text": body} if event["EventType"] == "EV_EFI_ACTION" else {})
    if "UnicodeName" in body:
        row["variable"] = variable(body)
    elif "ImageLocationInMemory" in body:
        keys = ("ImageLocationInMemory", "ImageLengthInMemory", "ImageLinkTimeAddress", "DevicePath")
        row["image"] = [body[key] for key in keys]
    elif "BlobBase" in body:
        row["blob"] = [body["BlobBase"], body["BlobLength"]]
    elif "Header" in body:
        row["gpt"] = partition_table(body)
    elif "String" in body and len(body["String"]) <= LONGEST_TEXT:
        row["text"] = body["String"]
    return row


def main(corpus: Path, out: Path) -> None:
    for log, oracle in SOURCES.items():
        text = (corpus / oracle).read_text(encoding="utf-8")
        document = json.loads(text) if oracle.endswith(".json") else yaml.safe_load(text)
        rows = [condensed(event) for event in document["events"]]
        table = {"log": log, "oracle": oracle, "events": rows}
        lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
        head = json.dumps({key: table[key] for key in ("log", "oracle")})[:-1]
        name = Path(log).name.removesuffix(".bin") + ".json"
        (out / name).write_text(f'{head}, "events": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
