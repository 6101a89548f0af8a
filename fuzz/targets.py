"""What is fuzzed: every decoder under its own name, and what the product does with decoded logs. Needs no fuzzer.

A target takes any bytes and returns, or raises `DecodeError`; whatever else escapes is a bug.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bartizan.formats.boot_text import decode_boot_text
from bartizan.formats.dbx_update import decode_signed_update
from bartizan.formats.device_path import decode_device_path
from bartizan.formats.device_path_text import device_path_text
from bartizan.formats.device_security import decode_device_security
from bartizan.formats.event_data import (
    DECODERS,
    decode_event_data,
    decode_identifier,
    decode_loaded_image,
    decode_variable_event,
)
from bartizan.formats.event_text import describe
from bartizan.formats.ima import decode_ima
from bartizan.formats.no_action import decode_no_action
from bartizan.formats.pcr_file import decode_pcr_file
from bartizan.formats.platform_certificate import decode_platform_certificate
from bartizan.formats.public_key import decode_public_key
from bartizan.formats.reader import Reader
from bartizan.formats.reference_file import decode_reference
from bartizan.formats.sbat import decode_sbat
from bartizan.formats.signature_list import decode_authority, decode_signature_lists
from bartizan.formats.tagged_event import decode_tagged_events
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.texts import decode_labelled, decode_text
from bartizan.formats.tpm2 import (
    decode_attest,
    decode_credential,
    decode_public,
    decode_selections,
    decode_signature,
)
from bartizan.formats.uefi import (
    decode_firmware_blob,
    decode_firmware_blob2,
    decode_handoff_tables,
    decode_handoff_tables2,
    decode_image_load,
    decode_partition_table,
    decode_separator,
    decode_variable,
)
from bartizan.formats.uefi_variable import (
    decode_boot_order,
    decode_database,
    decode_flag,
    decode_load_option,
    decode_shim_variable,
)
from bartizan.formats.x509 import decode_certificate, decode_certificates
from bartizan.model.boot_log import Event
from bartizan.model.digest import HashAlg
from bartizan.verify.boot import verify_boot
from bartizan.verify.ima import verify_ima
from bartizan.verify.replay import replay
from fuzz.seeds import (
    LOGS,
    VECTORS,
    Seeds,
    chosen,
    credentials,
    device_paths,
    event_data,
    files,
    labelled_events,
    public_keys,
    variables,
)

CRASHES = VECTORS / "crashes"
SMALL, LARGE = 4096, 65_536
"""Longest input in bytes: for one structure, for a whole log or list."""
BANKS = (HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384)
CERTIFICATES = files("certificates/**/*.cer", "certificates/**/*.crt", "certificates/**/*.pem", "boots/**/*.der")
IMA_LISTS = files("ima/**/*", "boots/*/ima_at_quote.bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One piece of code under test and what it starts from."""

    run: Callable[[bytes], object]
    seeds: Seeds = tuple
    longest: int = SMALL


def credential(raw: bytes) -> object:
    """A credential's two parts in one input: a byte that says where to cut, then both."""
    cut = 1 + (raw[0] if raw else 0)
    return decode_credential(raw[1:cut], raw[cut:])


def selections(raw: bytes) -> object:
    """A PCR selection list as it stands inside larger structures."""
    return decode_selections(Reader(raw))


def event(raw: bytes) -> object:
    """An event's data under any label, and the line that people are shown."""
    labels = list(DECODERS)
    label = labels[raw[0] % len(labels)] if raw else 0
    found = Event(index=0, offset=0, pcr=4, reported_type=label, digests={}, data=raw[1:])
    return describe(decode_event_data(found))


def device_path(raw: bytes) -> object:
    """A device path and its text."""
    return device_path_text(decode_device_path(raw))


def judged_boot_log(raw: bytes) -> object:
    """A boot log held against the PCR values that it leads to itself."""
    log = decode_boot_log(raw)
    pcrs = {bank: replay(log, bank) for bank in BANKS}
    return [verify_boot(log, pcrs, pinned=bank, launch_log=log) for bank in BANKS]


def judged_ima(raw: bytes) -> object:
    """An IMA list held against PCR values that are not its own."""
    zeros = {bank: dict.fromkeys(range(16), bytes(bank.size)) for bank in BANKS}
    return [verify_ima(decode_ima(raw), zeros, pinned=bank) for bank in BANKS]


DATABASES = variables("db", "KEK", "PK", "MokList")
LISTS = files("secure_boot/**/*.esl", "secure_boot/**/*.siglist")
UPDATES = files("secure_boot/**/*.bin", "secure_boot/**/*.auth")

TARGETS: dict[str, Target] = {
    "public": Target(run=decode_public, seeds=files("**/*.pub", "**/*.tpm2b_public")),
    "public_key": Target(run=decode_public_key, seeds=public_keys),
    "attest": Target(run=decode_attest, seeds=files("**/*.attest")),
    "signature": Target(run=decode_signature, seeds=files("**/*.sig")),
    "selections": Target(run=selections),
    "credential": Target(run=credential, seeds=credentials),
    "boot_log": Target(run=decode_boot_log, seeds=LOGS, longest=LARGE),
    "boot_log_judged": Target(run=judged_boot_log, seeds=LOGS, longest=LARGE),
    "event_data": Target(run=event, seeds=labelled_events),
    "boot_text": Target(run=decode_boot_text, seeds=event_data(decode_boot_text)),
    "device_path": Target(run=device_path, seeds=device_paths),
    "device_security": Target(run=decode_device_security, seeds=event_data(decode_device_security)),
    "firmware_blob": Target(run=decode_firmware_blob, seeds=event_data(decode_firmware_blob)),
    "firmware_blob2": Target(run=decode_firmware_blob2, seeds=event_data(decode_firmware_blob2)),
    "handoff_tables": Target(run=decode_handoff_tables, seeds=event_data(decode_handoff_tables)),
    "handoff_tables2": Target(run=decode_handoff_tables2, seeds=event_data(decode_handoff_tables2)),
    "identifier": Target(run=decode_identifier, seeds=event_data(decode_identifier)),
    "image_load": Target(run=decode_image_load, seeds=event_data(decode_loaded_image)),
    "labelled": Target(run=decode_labelled, seeds=event_data(decode_labelled)),
    "loaded_image": Target(run=decode_loaded_image, seeds=event_data(decode_loaded_image)),
    "no_action": Target(run=decode_no_action, seeds=event_data(decode_no_action)),
    "partition_table": Target(run=decode_partition_table, seeds=event_data(decode_partition_table)),
    "separator": Target(run=decode_separator, seeds=event_data(decode_separator)),
    "tagged_events": Target(run=decode_tagged_events, seeds=event_data(decode_tagged_events)),
    "text": Target(run=decode_text, seeds=event_data(decode_text)),
    "variable": Target(run=decode_variable, seeds=event_data(decode_variable_event)),
    "variable_event": Target(run=decode_variable_event, seeds=event_data(decode_variable_event)),
    "authority": Target(run=decode_authority, seeds=DATABASES),
    "boot_order": Target(run=decode_boot_order, seeds=variables("BootOrder")),
    "database": Target(run=decode_database, seeds=DATABASES, longest=LARGE),
    "flag": Target(run=decode_flag, seeds=variables("SecureBoot", "MokListTrusted")),
    "load_option": Target(run=decode_load_option, seeds=variables("Boot00")),
    "sbat": Target(run=decode_sbat, seeds=variables("SbatLevel")),
    "shim_variable": Target(run=decode_shim_variable, seeds=variables("Shim", "Mok", "Sbat")),
    "signature_lists": Target(run=decode_signature_lists, seeds=LISTS, longest=LARGE),
    "signed_update": Target(run=decode_signed_update, seeds=UPDATES, longest=LARGE),
    "ima": Target(run=decode_ima, seeds=IMA_LISTS, longest=LARGE),
    "ima_judged": Target(run=judged_ima, seeds=IMA_LISTS, longest=LARGE),
    "certificate": Target(run=decode_certificate, seeds=CERTIFICATES),
    "certificates": Target(run=decode_certificates, seeds=CERTIFICATES),
    "platform_certificate": Target(run=decode_platform_certificate, seeds=CERTIFICATES),
    "pcr_file": Target(run=decode_pcr_file, seeds=files("boots/*/pcrs_at_quote.json")),
    "reference": Target(run=decode_reference, seeds=files("**/reference*.json")),
}


def kept(name: str) -> list[Path]:
    """Inputs that once broke a target, kept for good."""
    return sorted(path for path in (CRASHES / name).glob("*") if path.is_file())


def starting_points(name: str) -> list[bytes]:
    """What a target starts from: recorded evidence, and what once broke it."""
    target = TARGETS[name]
    recorded = [raw for raw in chosen(target.seeds) if len(raw) <= target.longest]
    return recorded + [path.read_bytes() for path in kept(name)]
