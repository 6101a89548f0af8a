"""TPM 1.2 quotes, for history's sake: TPM_QUOTE_INFO. TPM Main Part 2 revision 116, 11.3.

SHA-1 throughout, and the signed bytes say which PCR values were quoted but not which PCRs.
"""

from bartizan.formats.reader import Reader
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import Tpm12Quote

VERSION = b"\x01\x01\x00\x00"
"""TPM_STRUCT_VER 1.1.0.0, the same in every TPM 1.2."""
FIXED = b"QUOT"
SHA1_BYTES = 20


def is_tpm12_quote(raw: bytes) -> bool:
    """It begins as a TPM_QUOTE_INFO does."""
    return raw.startswith(VERSION + FIXED)


def decode_tpm12_quote(raw: bytes) -> Tpm12Quote:
    """A TPM_QUOTE_INFO.

    Raises:
        DecodeError: another structure, cut short, or bytes left over.
    """
    reader = Reader(raw)
    head = reader.take(len(VERSION + FIXED), "TPM_QUOTE_INFO")
    if head != VERSION + FIXED:
        raise Reader(raw).refuse("TPM_QUOTE_INFO", f"01010000 and QUOT expected, found {head.hex()}")
    digest = reader.take(SHA1_BYTES, "digestValue")
    external = reader.take(SHA1_BYTES, "externalData")
    reader.finish("TPM_QUOTE_INFO")
    return Tpm12Quote(raw=raw, composite_digest=digest, external_data=external)


def composite_digests(values: dict[int, bytes]) -> frozenset[bytes]:
    """What a TPM 1.2 signs for these PCRs: SHA-1 over TPM_PCR_COMPOSITE, with a bitmap of two or three bytes."""
    bitmap = sum(1 << pcr for pcr in values)
    joined = b"".join(value for _, value in sorted(values.items()))
    found = set()
    for width in (2, 3):
        if bitmap < 1 << 8 * width:
            select = width.to_bytes(2, "big") + bitmap.to_bytes(width, "little")
            found.add(HashAlg.SHA1.digest(select + len(joined).to_bytes(4, "big") + joined))
    return frozenset(found)
