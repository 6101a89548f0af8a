"""What a TDX quote and the ACPI table of a confidential machine's log say, as decoded. Nothing here is proved."""

from collections.abc import Mapping
from dataclasses import dataclass

REGISTER_NAMES: Mapping[int, str] = {0: "MRTD", 1: "RTMR0", 2: "RTMR1", 3: "RTMR2", 4: "RTMR3"}
"""A log's register index to TDX's own name; UEFI 2.10, 38.4.1."""
RTMR_COUNT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
    """The report on one trust domain, inside a quote; every register is a SHA-384 value of 48 bytes.

    mr_td: the initial image; rtmrs: RTMR0 to RTMR3; td_attributes and xfam: 8 bytes, little-endian bits;
    the last two are those of TDX 1.5, None before it.
    """

    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: bytes
    xfam: bytes
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmrs: tuple[bytes, ...]
    report_data: bytes
    tee_tcb_svn_2: bytes | None = None
    mr_service_td: bytes | None = None

    @property
    def under_debug(self) -> bool:
        """The host may read and change its memory: a bit of the group TUD is set; TDX Module ABI, TD_ATTRIBUTES."""
        return self.td_attributes[0] != 0

    @property
    def registers(self) -> Mapping[int, bytes]:
        """RTMR values by the index that a log gives them, 1 to 4."""
        return dict(enumerate(self.rtmrs, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxQuote:
    """A TDX quote; `signed` are the bytes that its signature covers, `padding` how many zero bytes follow it."""

    version: int
    attestation_key_type: int
    qe_vendor: bytes
    user_data: bytes
    report: TdReport
    signed: bytes
    signature_data: bytes
    padding: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CcelTable:
    """The ACPI table CCEL: where the log lies in memory and how many bytes are kept for it.

    cc_type: 1 AMD SEV, 2 Intel TDX; UEFI 2.10, 38.2.1.
    """

    revision: int
    oem_id: bytes
    cc_type: int
    cc_subtype: int
    log_size: int
    log_address: int
