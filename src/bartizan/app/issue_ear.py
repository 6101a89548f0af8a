"""`bartizan appraise --ear`: the result as a signed token, and the key set to verify it with."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from bartizan.app.evidence_folder import read_file
from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.ear import PemKey, decode_signing_key, ear_claims, public_jwk, sign_ear
from bartizan.model.result import AttestationResult

LIFETIME = timedelta(minutes=5)
"""How long a Relying Party may rely on a token: a recorded verdict is for looking at, not for admission."""
MAX_KEY = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedEar:
    """Where the token and its public key were written."""

    token: Path
    keys: Path


def issue_ear(result: AttestationResult, path: Path, *, key: Path | None, subject: str, now: datetime) -> IssuedEar:
    """Write the token to `path` and its key set to `path` + `.jwks.json`.

    Without a key, one is made for this token alone and forgotten: it proves integrity, not who signed.

    Raises:
        ConfigError: the key is no EC P-256 private key, or a file cannot be written.
    """
    signing = _one_time_key() if key is None else _key_in(key)
    issued_at = int(now.timestamp())
    expires = int((now + LIFETIME).timestamp())
    claims = ear_claims(result, issued_at=issued_at, expires=expires, nonce=None, submodule=subject)
    keys = path.with_name(path.name + ".jwks.json")
    token = sign_ear(claims, signing)
    published = json.dumps({"keys": [public_jwk(signing.public)]}, indent=1) + "\n"
    try:
        path.write_text(token + "\n")
        keys.write_text(published)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return IssuedEar(token=path, keys=keys)


def _key_in(path: Path) -> PemKey:
    try:
        return decode_signing_key(read_file(path, limit=MAX_KEY))
    except DecodeError as error:
        raise ConfigError(f"{path}: an EC P-256 private key in PEM expected: {error.why}") from error


def _one_time_key() -> PemKey:
    return PemKey(ec.generate_private_key(ec.SECP256R1()))
