"""`bartizan waivers sign`, and waivers for `bartizan posture`: exceptions that name rule and entity, and expire."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from bartizan.app.defaults import posture_rules
from bartizan.app.evidence_folder import read_file
from bartizan.app.reference_folder import write_whole
from bartizan.app.sign_reference import private_key, read_accepted, signed_by
from bartizan.appraise.waivers import load_waivers
from bartizan.errors import ConfigError, DecodeError, PolicyError, VerifyError
from bartizan.formats.reference_signature import (
    MAX_SIGNATURES_FILE,
    WAIVERS_FORMAT,
    ReferenceSignature,
    decode_reference_signatures,
    encode_reference_signatures,
    signed_message,
)
from bartizan.model.policy import Waiver
from bartizan.verify.reference_signature import verify_reference_signature

MAX_WAIVERS = 1024 * 1024
SUFFIX = ".signatures.json"


def sign_waivers(path: Path, key: Path) -> tuple[tuple[Waiver, ...], bytes]:
    """Sign a file of waivers; signatures by other keys are kept. Returns the waivers and the key's fingerprint.

    Raises:
        ConfigError: a file or key cannot be used. PolicyError: it holds no waivers.
    """
    raw = read_file(path, limit=MAX_WAIVERS)
    waivers = _waivers(raw, path)
    own = signed_by(private_key(key), signed_message(_digest(raw), kind=WAIVERS_FORMAT))
    others = tuple(some for some in _signatures(path) if some.key != own.key)
    write_whole(path.parent, path.name + SUFFIX, encode_reference_signatures((*others, own), kind=WAIVERS_FORMAT))
    return waivers, own.key


def read_waivers(path: Path, keys: Sequence[Path]) -> tuple[Waiver, ...]:
    """The waivers in a file that one of these public keys signed.

    Raises:
        ConfigError: a file or key cannot be used, or no key is given. PolicyError: no such key signed it as it is.
    """
    if not keys:
        raise ConfigError(f"{path}: waivers count only when signed: say by whom with --waiver-key")
    raw = read_file(path, limit=MAX_WAIVERS)
    try:
        verify_reference_signature(_digest(raw), _signatures(path), read_accepted(keys), kind=WAIVERS_FORMAT)
    except VerifyError as error:
        raise PolicyError(f"{path}: the waivers cannot be used: {error.why}") from error
    return _waivers(raw, path)


def _waivers(raw: bytes, path: Path) -> tuple[Waiver, ...]:
    try:
        return load_waivers(raw.decode("utf-8"), posture_rules(), source=str(path))
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: not UTF-8 at byte {error.start}") from error


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _signatures(path: Path) -> tuple[ReferenceSignature, ...]:
    beside = path.with_name(path.name + SUFFIX)
    if not beside.is_file():
        return ()
    try:
        return decode_reference_signatures(read_file(beside, limit=MAX_SIGNATURES_FILE), kind=WAIVERS_FORMAT)
    except DecodeError as error:
        raise DecodeError(f"{beside}: {error.what}", error.offset, error.why) from error
