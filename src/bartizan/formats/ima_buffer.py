"""Buffers that IMA measured (template ima-buf), by name: keyrings, kexec-cmdline, SELinux. It trusts no name.

Source: Linux, process_buffer_measurement() in security/integrity/ima/ima_main.c; ima_asymmetric_keys.c;
kernel/kexec_file.c; security/selinux/ima.c. The file digest of such an entry is the hash of its buffer. No digest
covers a template's name, so an entry counts only if its three fields are digest, name and buffer and the digest fits.
"""

import hashlib
import re

from bartizan.formats.ima_template import DIGEST_FIELDS, layout_of
from bartizan.model.digest import HASHLIB_NAMES, SIZES, HashAlg
from bartizan.model.ima import ImaEntry
from bartizan.model.ima_buffer import (
    Buffer,
    KexecCommandLine,
    Keyring,
    SelinuxPolicy,
    SelinuxState,
    UnknownBuffer,
)

MAX_COMMAND_LINE = 4096
"""Bytes: COMMAND_LINE_SIZE is 2048 on x86 and 4096 elsewhere."""
MAX_STATE = 4096
"""Bytes: some ten names of policy capabilities; security/selinux/ima.c."""
KEXEC_COMMAND_LINE, SELINUX_STATE, SELINUX_POLICY = b"kexec-cmdline", b"selinux-state", b"selinux-policy-hash"
KEYRING = re.compile(rb"[._][A-Za-z0-9._:-]{1,127}")
"""The system's keyrings begin with a dot, users' with an underscore: `.ima`, `.builtin_trusted_keys`, `_uid.0`."""
SWITCH = re.compile(rb"([a-z][a-z0-9_]{0,63})=([01]);")
STATE = re.compile(rb"(?:[a-z][a-z0-9_]{0,63}=[01];){1,64}")
BUFFER_FIELDS = 3
DER_SEQUENCE = b"\x30"
HASH_NAMES = {alg.label.replace("_", "-"): alg for alg in HashAlg} | {"sm3": HashAlg.SM3_256}


def is_buffer_template(template: str) -> bool:
    """Its fields are digest, name and buffer."""
    layout = layout_of(template)
    return (
        layout is not None
        and len(layout.fields) == BUFFER_FIELDS
        and layout.fields[0] in DIGEST_FIELDS
        and layout.fields[2] == "buf"
    )


def decode_buffer(entry: ImaEntry) -> Buffer | None:
    """What an entry's buffer says; None for an entry that has none or is a violation. It never fails."""
    if entry.is_violation:
        return None
    name = entry.path.decode("ascii", "backslashreplace")
    if not is_buffer_template(entry.template):
        digest_only = entry.path == KEXEC_COMMAND_LINE
        return UnknownBuffer(name=name, payload=b"", why="only its digest was measured") if digest_only else None
    if not _is_hash_of_payload(entry):
        return UnknownBuffer(name=name, payload=entry.payload, why="the digest is not the hash of the buffer")
    found = _named(entry.path, name, entry.payload)
    return found or UnknownBuffer(name=name, payload=entry.payload, why="no buffer of a known name and form")


def _is_hash_of_payload(entry: ImaEntry) -> bool:
    alg = HASH_NAMES.get(entry.digest_alg.replace("_", "-"))
    available = alg is not None and HASHLIB_NAMES[alg] in hashlib.algorithms_available
    return alg is not None and available and alg.digest(entry.payload) == entry.digest


def _named(path: bytes, name: str, payload: bytes) -> Buffer | None:
    if path == KEXEC_COMMAND_LINE:
        return _command_line(payload)
    if path == SELINUX_STATE:
        return _selinux_state(payload)
    if path == SELINUX_POLICY:
        return SelinuxPolicy(digest=payload) if len(payload) in SIZES.values() else None
    if KEYRING.fullmatch(path) and payload.startswith(DER_SEQUENCE):
        return Keyring(name=name, certificate=payload)
    return None


def _command_line(payload: bytes) -> KexecCommandLine | None:
    """A text, with or without its terminator: Linux leaves it out."""
    text = payload.removesuffix(b"\0")
    if len(text) > MAX_COMMAND_LINE or b"\0" in text:
        return None
    return KexecCommandLine(text=text.decode("utf-8", "surrogateescape"))


def _selinux_state(payload: bytes) -> SelinuxState | None:
    """`initialized=1;enforcing=1;…`, each name once."""
    if len(payload) > MAX_STATE or not STATE.fullmatch(payload):
        return None
    switches = SWITCH.findall(payload)
    flags = {name.decode("ascii"): int(value) for name, value in switches}
    return SelinuxState(flags=flags) if len(flags) == len(switches) else None
