"""`bartizan appraise --ear`: the result as a signed token, and the key set to verify it with."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bartizan.app.evidence_folder import read_file
from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.ear import ear_claims, public_jwks, sign_ear
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
    pem = read_file(key, limit=MAX_KEY) if key is not None else _one_time_key()
    issued_at = int(now.timestamp())
    expires = int((now + LIFETIME).timestamp())
    claims = ear_claims(result, issued_at=issued_at, expires=expires, nonce=None, submodule=subject)
    keys = path.with_name(path.name + ".jwks.json")
    try:
        token = sign_ear(claims, pem)
        published = json.dumps(public_jwks(pem), indent=1) + "\n"
    except DecodeError as error:
        raise ConfigError(f"{key}: an EC P-256 private key in PEM expected: {error.why}") from error
    try:
        path.write_text(token + "\n")
        keys.write_text(published)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return IssuedEar(token=path, keys=keys)


def _one_time_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
