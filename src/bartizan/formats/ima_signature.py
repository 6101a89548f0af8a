"""An IMA signature of a file: struct signature_v2_hdr (Linux, security/integrity/integrity.h). It verifies nothing."""

from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import Reader
from bartizan.model.rpm import FileSignature

WHAT = "IMA signature"
HEADER = Struct(">BBB4sH")
DIGITAL, VERSION = 3, 2
"""EVM_IMA_XATTR_DIGSIG, and the form of the header that is in use."""
HASHES = {2: "sha1", 4: "sha256", 5: "sha384", 6: "sha512", 7: "sha224"}
"""enum hash_algo (Linux, include/uapi/linux/hash_info.h), as far as files are signed with them."""
MAX_SIGNATURE = 1024
"""Bytes: RSA with 8192 bits."""


def decode_ima_signature(raw: bytes) -> FileSignature:
    """The signature in the value of security.ima.

    Raises:
        DecodeError: not such a value, another version, an unknown hash, or a length that is not its own.
    """
    reader = Reader(raw)
    kind, version, hash_alg, key, size = reader.unpack(HEADER, WHAT)
    if (kind, version) != (DIGITAL, VERSION) or hash_alg not in HASHES:
        raise DecodeError(WHAT, 0, f"type 3, version 2 and a known hash expected, found {kind}, {version}, {hash_alg}")
    if not 0 < size <= MAX_SIGNATURE:
        raise reader.refuse(WHAT, f"a signature of {size} bytes")
    signature = reader.take(size, WHAT)
    reader.finish(WHAT)
    return FileSignature(hash_alg=HASHES[hash_alg], key=key, signature=signature)
