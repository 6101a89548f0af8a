"""EV_NO_ACTION events: a 16-byte signature, then facts that extend no PCR; TCG PFP 1.06, 10.4.5.

Nothing of them is covered by any digest. The one that matters, StartupLocality, is proved or refuted by replay.
"""

from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.model.event_data import Locator, NoAction, PlatformReference, StartupLocality
from bartizan.model.uefi import Guid

MAX_LOCATOR = 64 * 1024
"""Bytes of a manifest's or certificate's locator; inline ones hold a whole document."""
MAX_PADDING = 15
"""Zero bytes let pass after an SP800-155 event: Google's firmware fills up to a multiple of 16."""
SIGNATURE = 16
"""Bytes of the signature, null-padded."""
STARTUP_LOCALITY = "StartupLocality"
PLATFORM_REFERENCES = {"SP800-155 Event": 1, "SP800-155 Event2": 2, "SP800-155 Event3": 3}
WITH_LOCATORS = 3
VENDOR_AND_MANIFEST = Struct("<I16s")


def decode_no_action(raw: bytes) -> StartupLocality | PlatformReference | NoAction:
    """Any EV_NO_ACTION event; those without a decoder here keep their bytes.

    Raises:
        DecodeError: no readable signature, or not the form that the signature stands for.
    """
    reader = LittleReader(raw)
    signature = _signature(reader)
    if signature == STARTUP_LOCALITY:
        locality = reader.u8("StartupLocality")
        reader.finish("StartupLocality")
        return StartupLocality(locality=locality)
    version = PLATFORM_REFERENCES.get(signature)
    if version is not None:
        return _platform_reference(reader, version)
    return NoAction(signature=signature, data=reader.rest())


def _signature(reader: LittleReader) -> str:
    raw = reader.take(SIGNATURE, "signature").rstrip(b"\0")
    if not raw or not raw.isascii() or not (text := raw.decode()).isprintable():
        raise DecodeError("signature", 0, f"printable ASCII expected, found {raw!r}")
    return text


def _platform_reference(reader: LittleReader, version: int) -> PlatformReference:
    vendor_id, manifest = reader.unpack(VENDOR_AND_MANIFEST, "SP800-155 event")
    if version == 1:
        reader.finish("SP800-155 event")
        return PlatformReference(version=version, vendor_id=vendor_id, manifest=Guid(manifest))
    manufacturer = _string(reader, "PlatformManufacturerStr")
    model = _string(reader, "PlatformModel")
    platform_version = _string(reader, "PlatformVersion")
    firmware_manufacturer = _string(reader, "FirmwareManufacturerStr")
    firmware_vendor_id = reader.u32("FirmwareManufacturerId")
    firmware_version = _string(reader, "FirmwareVersion")
    located = version == WITH_LOCATORS
    manifest_locator = _locator(reader, "RIM") if located else None
    certificate_locator = _locator(reader, "PlatformCert") if located else None
    _padding(reader)
    return PlatformReference(
        version=version,
        vendor_id=vendor_id,
        manifest=Guid(manifest),
        manufacturer=manufacturer,
        model=model,
        platform_version=platform_version,
        firmware_manufacturer=firmware_manufacturer,
        firmware_vendor_id=firmware_vendor_id,
        firmware_version=firmware_version,
        manifest_locator=manifest_locator,
        certificate_locator=certificate_locator,
    )


def _padding(reader: LittleReader) -> None:
    if reader.remaining > MAX_PADDING or reader.peek_rest().strip(b"\0"):
        reader.finish("SP800-155 event")


def _string(reader: LittleReader, what: str) -> str:
    raw = reader.take(reader.u8(what), what)
    try:
        return raw.rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        raise DecodeError(what, reader.offset - len(raw) + error.start, "UTF-8 expected") from error


def _locator(reader: LittleReader, what: str) -> Locator:
    kind = reader.u32(f"{what}LocatorType")
    return Locator(kind, reader.sized32(f"{what}Locator", limit=MAX_LOCATOR))
