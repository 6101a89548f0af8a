"""What the tests against emulated TPMs share: the banks, PCR arithmetic, the clock."""

import hashlib

from bartizan.collect.identity import create_ak, open_ek
from bartizan.collect.marshal import SHA256
from bartizan.collect.tpm import Tpm
from bartizan.formats.tpm2 import decode_attest
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import ClockInfo

BANKS = (HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384)
KERNEL = hashlib.sha256(b"kernel").digest()
NONCE = bytes(range(32))


def start_value(alg: HashAlg, last: int = 0) -> bytes:
    return bytes(alg.size - 1) + bytes([last])


def extended(alg: HashAlg, value: bytes, *contents: bytes) -> bytes:
    for content in contents:
        value = alg.digest(value + alg.digest(content))
    return value


def clock(tpm: Tpm) -> ClockInfo:
    with open_ek(tpm) as ek, tpm.loaded(ek.handle, create_ak(tpm, ek)) as ak:
        return decode_attest(tpm.quote(ak, NONCE, {SHA256: [0]})[0]).clock
