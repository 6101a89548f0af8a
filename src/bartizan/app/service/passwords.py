"""Passwords as they are kept: scrypt `scrypt$LOG2N$R$P$SALT$HASH`. It knows no account."""

import os

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.strict import decimal, hex_bytes

LEAST, MOST = 12, 1024
"""Characters of a password."""
LOG2_N, BLOCK, PARALLEL = 15, 8, 3
"""32 MiB and about a tenth of a second; OWASP Password Storage Cheat Sheet, scrypt."""
MAX_LOG2_N, MAX_BLOCK, MAX_PARALLEL = 20, 32, 16
SALT_BYTES, HASH_BYTES = 16, 32
PARTS = 6


def hash_password(password: str) -> str:
    """A password as it is kept.

    Raises:
        ConfigError: it is too short or too long.
    """
    if not LEAST <= len(password) <= MOST:
        raise ConfigError(f"password: {LEAST} to {MOST} characters expected, found {len(password)}")
    salt = os.urandom(SALT_BYTES)
    derived = _scrypt(salt, LOG2_N, BLOCK, PARALLEL).derive(password.encode("utf-8", "surrogatepass"))
    return f"scrypt${LOG2_N}${BLOCK}${PARALLEL}${salt.hex()}${derived.hex()}"


def password_matches(password: str, kept: str) -> bool:
    """It is the password that was kept; what was kept and cannot be read matches nothing."""
    parts = kept.split("$")
    if len(parts) != PARTS or parts[0] != "scrypt":
        return False
    try:
        log2_n, block, parallel = (decimal(part, "scrypt") for part in parts[1:4])
        salt, expected = hex_bytes(parts[4], "salt"), hex_bytes(parts[5], "hash")
    except DecodeError:
        return False
    if not (0 < log2_n <= MAX_LOG2_N and 0 < block <= MAX_BLOCK and 0 < parallel <= MAX_PARALLEL):
        return False
    if len(expected) != HASH_BYTES:
        return False
    try:
        _scrypt(salt, log2_n, block, parallel).verify(password.encode("utf-8", "surrogatepass"), expected)
    except InvalidKey:
        return False
    return True


def _scrypt(salt: bytes, log2_n: int, block: int, parallel: int) -> Scrypt:
    return Scrypt(salt=salt, length=HASH_BYTES, n=1 << log2_n, r=block, p=parallel)


NOBODYS = f"scrypt${LOG2_N}${BLOCK}${PARALLEL}${bytes(SALT_BYTES).hex()}${bytes(HASH_BYTES).hex()}"
"""No password's: what an unknown account's is compared with, so that it takes as long as a known one's."""
