"""TDX quotes, versions 4 and 5: the structure alone. The signature is kept as bytes and verified nowhere in here.

Intel TDX DCAP Quoting Library API, appendix A.3 (versions 4 and 5: header, TD report, signature data). SGX quotes and
bare TD reports are refused by name.
"""

from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.formats.texts import is_text
from bartizan.model.tdx import RTMR_COUNT, TdReport, TdxQuote

MAX_QUOTE = 64 * 1024
"""Bytes; a quote has about 5,000, and the guest's interface hands it over in a buffer of 8,000 or 16 KiB."""
MAX_SIGNATURE_DATA = 32 * 1024
"""Bytes; about 4,300 with the certificate chain of its key."""
SGX_VERSION = 3
BODY_FOLLOWS_HEADER, BODY_HAS_TYPE = 4, 5
TEE_SGX, TEE_TDX = 0x00000000, 0x00000081
HEADER = Struct("<HHI4x16s20s")
"""Version, attestation key type, TEE type, 4 reserved bytes, QE vendor, user data; A.3.1."""
BODY_TYPES = {2: 0, 3: 16 + 48}
"""Body type of a version 5 quote to the bytes that it has beyond the report of TDX 1.0; A.3.2. Type 1 is SGX's."""
SGX_BODY = 1
REPORT = Struct("<16s48s48s8s8s8s48s48s48s48s48s48s48s48s64s")
"""TD report of TDX 1.0, 584 bytes; A.3.2."""
REPORT_1_5 = Struct("<16s48s")
TDREPORT_SIZE = 1024
TDREPORT_TYPE = b"\x81\x00"
"""How a TDREPORT_STRUCT begins: REPORTTYPE with TEE type 0x81, subtype 0; TDX Module ABI, 3.10."""


def decode_tdx_quote(raw: bytes) -> TdxQuote:
    """One quote as the guest gets it, zero bytes after it allowed; its signature is not verified.

    Raises:
        DecodeError: a quote of another kind or version, a size beyond its limit, a quote cut short, or bytes after it.
    """
    if len(raw) > MAX_QUOTE:
        raise DecodeError("TDX quote", 0, f"{len(raw)} bytes are over the limit of {MAX_QUOTE}")
    _refuse_others(raw)
    reader = LittleReader(raw)
    version, key_type, tee, vendor, user_data = reader.unpack(HEADER, "TDX quote header")
    _check_kind(version, tee)
    extra = _typed_body(reader) if version == BODY_HAS_TYPE else 0
    report = _report(reader, extra=extra)
    signed = raw[: reader.offset]
    signature_data = reader.sized32("signature data", limit=MAX_SIGNATURE_DATA)
    padding = reader.remaining
    if any(reader.peek_rest()):
        raise reader.refuse("TDX quote", f"{padding} bytes after the signature data that are not all zero")
    return TdxQuote(
        version=version,
        attestation_key_type=key_type,
        qe_vendor=vendor,
        user_data=user_data,
        report=report,
        signed=signed,
        signature_data=signature_data,
        padding=padding,
    )


def _refuse_others(raw: bytes) -> None:
    """What is known not to be a quote, with the reason; TDX Module ABI, TDREPORT_STRUCT."""
    if len(raw) == TDREPORT_SIZE or raw.startswith(TDREPORT_TYPE):
        why = "a TD report, not a quote: only its own machine can check it; have the quoting enclave make a quote of it"
        raise DecodeError("TDX quote", 0, why)
    if is_text(raw):
        raise DecodeError("TDX quote", 0, "text (hexadecimal or JSON?), not the bytes of a quote")


def _check_kind(version: int, tee: int) -> None:
    if version == SGX_VERSION or (version in (BODY_FOLLOWS_HEADER, BODY_HAS_TYPE) and tee == TEE_SGX):
        raise DecodeError("TDX quote header", 0, f"an SGX quote (version {version}), which has no RTMRs")
    if version not in (BODY_FOLLOWS_HEADER, BODY_HAS_TYPE):
        raise DecodeError("TDX quote header", 0, f"version 4 or 5 expected, found {version}")
    if tee != TEE_TDX:
        raise DecodeError("TDX quote header", 4, f"TEE type 0x{TEE_TDX:x} (TDX) expected, found 0x{tee:x}")


def _typed_body(reader: LittleReader) -> int:
    """The bytes that a version 5 body has beyond TDX 1.0's, after its type and size were checked."""
    offset = reader.offset
    kind, size = reader.u16("body type"), reader.u32("body size")
    if kind == SGX_BODY:
        raise DecodeError("body type", offset, "an SGX enclave's report, which has no RTMRs")
    if kind not in BODY_TYPES:
        raise DecodeError("body type", offset, f"2 (TDX 1.0) or 3 (TDX 1.5) expected, found {kind}")
    expected = REPORT.size + BODY_TYPES[kind]
    if size != expected:
        raise DecodeError("body size", offset + 2, f"{expected} expected for type {kind}, found {size}")
    return BODY_TYPES[kind]


def _report(reader: LittleReader, *, extra: int) -> TdReport:
    fields = reader.unpack(REPORT, "TD report")
    registers, report_data = fields[10 : 10 + RTMR_COUNT], fields[10 + RTMR_COUNT]
    svn_2, service = reader.unpack(REPORT_1_5, "TD report of TDX 1.5") if extra else (None, None)
    return TdReport(
        tee_tcb_svn=fields[0],
        mr_seam=fields[1],
        mr_signer_seam=fields[2],
        seam_attributes=fields[3],
        td_attributes=fields[4],
        xfam=fields[5],
        mr_td=fields[6],
        mr_config_id=fields[7],
        mr_owner=fields[8],
        mr_owner_config=fields[9],
        rtmrs=registers,
        report_data=report_data,
        tee_tcb_svn_2=svn_2,
        mr_service_td=service,
    )
