"""What is fuzzed: every decoder under its own name, and what the product does with what they yield. Needs no fuzzer.

A target takes any bytes and returns, or raises `DecodeError`; whatever else escapes is a bug. Decoders that take bytes
alone are found by themselves; `SEEDS` says what each starts from, `MADE` holds those that need more than bytes.
"""

import contextlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from bartizan import formats
from bartizan.errors import DecodeError, VerifyError
from bartizan.formats import event_data as events
from bartizan.formats.boot_image import decode_image_sbat
from bartizan.formats.corim import decode_corim
from bartizan.formats.device_path import decode_device_path
from bartizan.formats.device_path_text import device_path_text
from bartizan.formats.event_text import describe
from bartizan.formats.ima import decode_ima, entry_by_entry, further_entries
from bartizan.formats.ima_buffer import decode_buffer
from bartizan.formats.log_file import decode_log_file
from bartizan.formats.pe import authenticode_digest, decode_pe, section_content
from bartizan.formats.public_key import SigningKey
from bartizan.formats.quote_signature import decode_quote_signature
from bartizan.formats.reader import Reader
from bartizan.formats.swid import decode_swid
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_credential, decode_selections
from bartizan.model.boot_log import Event, LogFormat
from bartizan.model.digest import HashAlg
from bartizan.model.ima import ImaList, ListForm
from bartizan.model.tpm import Curve, EccKey
from bartizan.reference.corim_import import from_corim, from_software
from bartizan.verify.boot import verify_boot
from bartizan.verify.cc_log import check_registers, compare_registers
from bartizan.verify.corim_profile import check_profile
from bartizan.verify.ima import verify_ima
from bartizan.verify.replay import replay
from bartizan.verify.xml_signature import verify_document
from fuzz import debian_seeds, seeds
from fuzz.seeds import Seeds, chosen, event_data, files, variables

Run = Callable[[bytes], object]
CRASHES = seeds.VECTORS / "crashes"
SHORTEST_LIMIT = 4096
"""Bytes that a target may grow an input to at least; beyond that, to its longest seed."""
BANKS = (HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384)
STRANGER = ec.derive_private_key(20, ec.SECP256R1()).public_key()
P256 = EccKey(curve=Curve.NIST_P256, kdf=None, x=bytes(32), y=bytes(32))
PREFIX = "decode_"


def credential(raw: bytes) -> object:
    """A credential's two parts in one input: a byte that says where to cut, then both."""
    cut = 1 + (raw[0] if raw else 0)
    return decode_credential(raw[1:cut], raw[cut:])


def selections(raw: bytes) -> object:
    """A PCR selection list as it stands inside larger structures."""
    return decode_selections(Reader(raw))


def quote_signature(raw: bytes) -> object:
    """A signature in whatever form, for a key on P-256."""
    return decode_quote_signature(raw, SigningKey(key=P256, scheme=None))


def event(raw: bytes) -> object:
    """An event's data under any label, and the line that people are shown."""
    labels = list(events.DECODERS)
    label = labels[raw[0] % len(labels)] if raw else 0
    found = Event(index=0, offset=0, pcr=4, reported_type=label, digests={}, data=raw[1:])
    return describe(events.decode_event_data(found))


def shown_device_path(raw: bytes) -> object:
    """A device path and its text."""
    return device_path_text(decode_device_path(raw))


def executable(raw: bytes) -> object:
    """An executable: what its signature covers, its sections, and its SBAT."""
    image = decode_pe(raw)
    contents = [section_content(raw, part) for part in image.sections]
    return authenticode_digest(raw, image, HashAlg.SHA256), contents, decode_image_sbat(raw, image)


def judged_boot_log(raw: bytes) -> object:
    """A boot log held against the PCR values that it leads to itself."""
    log = decode_boot_log(raw)
    pcrs = {bank: replay(log, bank) for bank in BANKS}
    return [verify_boot(log, pcrs, pinned=bank, launch_log=log) for bank in BANKS]


def agreed_ima(raw: bytes) -> object:
    """An IMA list read in bulk and entry by entry: both must say the same."""
    try:
        slow = entry_by_entry(raw)
    except DecodeError as refusal:
        with contextlib.suppress(DecodeError):
            raise AssertionError(f"bulk decoding took {decode_ima(raw)} where the other refused") from refusal
        raise
    quick = decode_ima(raw)
    assert (quick.form, quick.digest_size, tuple(quick.entries)) == (slow.form, slow.digest_size, tuple(slow.entries))
    return quick


@cache
def known_lists() -> tuple[ImaList, ...]:
    """A recorded list of each form."""
    found: dict[ListForm, ImaList] = {}
    for raw in chosen(IMA_LISTS):
        with contextlib.suppress(DecodeError):
            some = decode_ima(raw)
            found.setdefault(some.form, some)
    return tuple(found.values())


def further_ima(raw: bytes) -> object:
    """Entries that follow a recorded list; the first byte chooses which."""
    return further_entries(raw[1:], known_lists()[raw[0] % len(known_lists()) if raw else 0])


def judged_ima(raw: bytes) -> object:
    """An IMA list held against PCR values that are not its own."""
    zeros = {bank: dict.fromkeys(range(16), bytes(bank.size)) for bank in BANKS}
    return [verify_ima(decode_ima(raw), zeros, pinned=bank) for bank in BANKS]


def ima_buffers(raw: bytes) -> object:
    """What the entries of a list hold beside files."""
    return [decode_buffer(entry) for entry in decode_ima(raw).entries]


def judged_cc_log(raw: bytes) -> object:
    """Any log taken for a confidential machine's, held against registers that are not its own."""
    log = replace(decode_log_file(raw), format=LogFormat.CCEL)
    registers = dict.fromkeys(range(6), bytes(HashAlg.SHA384.size))
    return check_registers(log, HashAlg.SHA384), compare_registers(log, registers, HashAlg.SHA384)


def judged_corim(raw: bytes) -> object:
    """A CoRIM held against its profile, and what would be taken from it."""
    corim = decode_corim(raw)
    with contextlib.suppress(VerifyError):
        check_profile(corim)
    return from_corim(corim, name="fuzzed", source="fuzzed")


def judged_rim(raw: bytes) -> object:
    """A RIM held against a key that is not its signer's, and the files that would be taken from it."""
    tag = decode_swid(raw)
    with contextlib.suppress(VerifyError):
        verify_document(tag.root, STRANGER)
    return from_software(tag.software, name="fuzzed", source="fuzzed")


MADE: Mapping[str, Run] = {
    "selections": selections,
    "credential": credential,
    "quote_signature": quote_signature,
    "event_data": event,
    "device_path_text": shown_device_path,
    "image_sbat": executable,
    "boot_log_judged": judged_boot_log,
    "ima_agreed": agreed_ima,
    "ima_judged": judged_ima,
    "ima_further": further_ima,
    "ima_buffers": ima_buffers,
    "cc_log_judged": judged_cc_log,
    "corim_judged": judged_corim,
    "rim_judged": judged_rim,
}
IMA_LISTS = files("ima/**/*", "boots/*/ima_at_quote.bin")
CERTIFICATES = files("certificates/**/*.cer", "certificates/**/*.crt", "certificates/**/*.pem", "boots/**/*.der")
DATABASES = variables("db", "KEK", "PK", "MokList")
MANIFESTS, RIMS = files("corim/*/*"), files("rim/**/*.swidtag")
SEEDS: Mapping[str, Seeds] = {
    "public": files("**/*.pub", "**/*.tpm2b_public"),
    "public_key": seeds.public_keys,
    "attest": files("**/*.attest"),
    "quote_signature": seeds.signatures,
    "signature": files("**/*.sig"),
    "tpm12_quote": files("**/*tpm12*", "**/*.quote"),
    "credential": seeds.credentials,
    "posture": files("posture/*.json"),
    "grub_script": seeds.scripts,
    "rpm": debian_seeds.rpms,
    "ima_signature": debian_seeds.ima_signatures,
    "repomd": files("rpm/repodata/repomd.xml"),
    "primary": debian_seeds.rpm_lists,
    "installed_rpms": debian_seeds.installed_rpms,
    "boot_log": seeds.LOGS,
    "boot_log_judged": seeds.LOGS,
    "embedded_log": seeds.LOGS,
    "event_data": seeds.labelled_events,
    "authenticode": files("**/*authenticode*"),
    "boot_image": seeds.executables,
    "image_sbat": seeds.executables,
    "pe": seeds.executables,
    "uki": seeds.executables,
    "ccel_table": files("confidential/*.table.bin"),
    "tdx_quote": files("confidential/*quote.bin"),
    "cc_log_judged": seeds.LOGS,
    "ima_buffers": IMA_LISTS,
    "log_file": seeds.LOGS,
    "txt_container": seeds.txt_containers,
    "txt_heap": seeds.txt_heaps,
    "device_path": seeds.device_paths,
    "device_path_text": seeds.device_paths,
    "image_load": event_data(events.decode_loaded_image),
    "variable": event_data(events.decode_variable_event),
    "authority": DATABASES,
    "boot_order": variables("BootOrder"),
    "database": DATABASES,
    "flag": variables("SecureBoot", "MokListTrusted"),
    "load_option": variables("Boot00"),
    "sbat": variables("SbatLevel"),
    "shim_variable": variables("Shim", "Mok", "Sbat"),
    "signature_lists": files("secure_boot/**/*.esl", "secure_boot/**/*.siglist"),
    "signed_update": files("secure_boot/**/*.bin", "secure_boot/**/*.auth"),
    "ima": IMA_LISTS,
    "ima_agreed": IMA_LISTS,
    "ima_judged": IMA_LISTS,
    "ima_further": lambda: (bytes([form]) + raw for raw in IMA_LISTS() for form in (0, 1)),
    "certificate": CERTIFICATES,
    "certificates": CERTIFICATES,
    "platform_certificate": CERTIFICATES,
    "pcr_file": files("boots/*/pcrs_at_quote.json"),
    "reference": seeds.references,
    "deb": debian_seeds.packages,
    "reference_signatures": debian_seeds.signatures,
    "release": debian_seeds.release,
    "clearsigned": debian_seeds.clearsigned,
    "packages": debian_seeds.index,
    "installed": debian_seeds.installed,
    "gpgv_status": debian_seeds.status,
    "cbor": MANIFESTS,
    "comid": MANIFESTS,
    "corim": MANIFESTS,
    "corim_judged": MANIFESTS,
    "signed_corim": MANIFESTS,
    "cose": MANIFESTS,
    "coswid": MANIFESTS,
    "ear": seeds.results,
    "ear_cbor": MANIFESTS,
    "jws": files("ear/*.jwt"),
    "key_file": files("corim/keys/*", "rim/**/*.pem", "ear/*.jwk"),
    "swid": RIMS,
    "xml": RIMS,
    "rim_judged": RIMS,
}


def public_decoders() -> Iterator[tuple[str, Callable[..., object]]]:
    """Every public decoder that takes bytes first, by its name without `decode_`."""
    for module in pkgutil.iter_modules(formats.__path__):
        for name, found in vars(import_module(f"{formats.__name__}.{module.name}")).items():
            if name.startswith(PREFIX) and inspect.isfunction(found) and found.__module__.endswith(f".{module.name}"):
                first = next(iter(inspect.signature(found).parameters.values()), None)
                if first is not None and first.annotation is bytes:
                    yield name.removeprefix(PREFIX), found


def takes_bytes_alone(decoder: Callable[..., object]) -> bool:
    """It can be called with bytes and nothing else."""
    parameters = list(inspect.signature(decoder).parameters.values())
    return all(parameter.default is not inspect.Parameter.empty for parameter in parameters[1:])


TARGETS: dict[str, Run] = {name: found for name, found in public_decoders() if takes_bytes_alone(found)} | dict(MADE)


def kept(name: str) -> list[Path]:
    """Inputs that once broke a target, kept for good."""
    return sorted(path for path in (CRASHES / name).glob("*") if path.is_file())


def starting_points(name: str) -> list[bytes]:
    """What a target starts from: recorded evidence, and what once broke it."""
    found = SEEDS.get(name) or event_data(TARGETS[name])
    return chosen(found) + [path.read_bytes() for path in kept(name)]


def longest(inputs: list[bytes]) -> int:
    """Bytes that a target with these starting points may grow an input to."""
    return max([SHORTEST_LIMIT, *(len(raw) for raw in inputs)])
