"""Typed data of boot log events, whatever firmware wrote there: a label picks the decoders, their failure is a value.

The reported type is the writer's label and covered by no digest. It chooses how to read, never what to believe: the
caller recomputes digests from the data where the specification says so. The decoders named here are strict and
raise; `decode_event_data` never does.
"""

from collections.abc import Callable, Mapping

from bartizan.errors import DecodeError
from bartizan.formats.boot_text import decode_boot_text
from bartizan.formats.device_security import decode_device_security
from bartizan.formats.no_action import decode_no_action
from bartizan.formats.tagged_event import decode_tagged_events
from bartizan.formats.texts import TEXT, decode_labelled, decode_text
from bartizan.formats.uefi import (
    SHIM_SLACK,
    decode_firmware_blob,
    decode_firmware_blob2,
    decode_handoff_tables,
    decode_handoff_tables2,
    decode_image_load,
    decode_partition_table,
    decode_separator,
    decode_variable,
)
from bartizan.formats.uefi_variable import decode_variable_value
from bartizan.model.boot_log import Event, EventType
from bartizan.model.event_data import EventData, Identifier, ImageLoad
from bartizan.model.uefi import Guid, Opaque, VariableEvent

GUID_SIZE = 16
NO_TEXT = "neither text nor a form known for this type"
Decoder = Callable[[bytes], EventData]


def decode_variable_event(raw: bytes) -> VariableEvent:
    """A measured variable; a value that its name does not allow is kept as `Opaque` with the reason.

    Raises:
        DecodeError: it is no UEFI_VARIABLE_DATA (shim's few trailing bytes are let pass).
    """
    variable = decode_variable(raw, slack=SHIM_SLACK)
    try:
        return VariableEvent(variable=variable, value=decode_variable_value(variable))
    except DecodeError as error:
        return VariableEvent(variable=variable, value=Opaque(reason=str(error), data=variable.data))


def decode_loaded_image(raw: bytes) -> ImageLoad:
    """An image load; shim's few trailing bytes are let pass.

    Raises:
        DecodeError: it is no UEFI_IMAGE_LOAD_EVENT.
    """
    return decode_image_load(raw, slack=SHIM_SLACK)


def decode_identifier(raw: bytes) -> Identifier:
    """A bare GUID.

    Raises:
        DecodeError: not exactly 16 bytes.
    """
    if len(raw) != GUID_SIZE:
        raise DecodeError("GUID", 0, f"{GUID_SIZE} bytes expected, found {len(raw)}")
    return Identifier(value=Guid(raw))


ANY: tuple[Decoder, ...] = (decode_text, decode_labelled)
FIRMWARE: tuple[Decoder, ...] = (decode_text, decode_firmware_blob, decode_firmware_blob2, decode_labelled)
NON_HOST: tuple[Decoder, ...] = (decode_labelled, decode_text, decode_firmware_blob)
VARIABLE: tuple[Decoder, ...] = (decode_variable_event,)
IMAGE: tuple[Decoder, ...] = (decode_loaded_image,)
DECODERS: Mapping[int, tuple[Decoder, ...]] = {
    EventType.POST_CODE: FIRMWARE,
    EventType.POST_CODE2: FIRMWARE,
    EventType.NO_ACTION: (decode_no_action, decode_tagged_events),
    EventType.SEPARATOR: (decode_separator, decode_text),
    EventType.EVENT_TAG: (decode_tagged_events, decode_text),
    EventType.S_CRTM_CONTENTS: FIRMWARE,
    EventType.S_CRTM_VERSION: (decode_text, decode_identifier, decode_labelled),
    EventType.TABLE_OF_DEVICES: (decode_handoff_tables, decode_text),
    EventType.IPL: (decode_boot_text, decode_labelled),
    EventType.NONHOST_CODE: NON_HOST,
    EventType.NONHOST_CONFIG: NON_HOST,
    EventType.NONHOST_INFO: NON_HOST,
    EventType.EFI_VARIABLE_DRIVER_CONFIG: VARIABLE,
    EventType.EFI_VARIABLE_BOOT: VARIABLE,
    EventType.EFI_VARIABLE_BOOT2: VARIABLE,
    EventType.EFI_VARIABLE_AUTHORITY: VARIABLE,
    EventType.EFI_SPDM_DEVICE_POLICY: VARIABLE,
    EventType.EFI_SPDM_DEVICE_AUTHORITY: VARIABLE,
    EventType.EFI_BOOT_SERVICES_APPLICATION: IMAGE,
    EventType.EFI_BOOT_SERVICES_DRIVER: IMAGE,
    EventType.EFI_RUNTIME_SERVICES_DRIVER: IMAGE,
    EventType.EFI_GPT_EVENT: (decode_partition_table,),
    EventType.EFI_GPT_EVENT2: (decode_partition_table,),
    EventType.EFI_PLATFORM_FIRMWARE_BLOB: (decode_firmware_blob, decode_firmware_blob2),
    EventType.EFI_PLATFORM_FIRMWARE_BLOB2: (decode_firmware_blob2, decode_firmware_blob),
    EventType.EFI_HANDOFF_TABLES: (decode_handoff_tables, decode_handoff_tables2),
    EventType.EFI_HANDOFF_TABLES2: (decode_handoff_tables2, decode_handoff_tables),
    EventType.EFI_SPDM_FIRMWARE_BLOB: (decode_device_security,),
    EventType.EFI_SPDM_FIRMWARE_CONFIG: (decode_device_security,),
}
"""For each label the forms that are tried, in order; any other label: text. PFP 1.06, 10.2 to 10.4."""


def decode_event_data(event: Event) -> EventData:
    """What the event's data holds; `Opaque` with the first decoder's reason when no form of its label fits."""
    first: DecodeError | None = None
    for decoder in DECODERS.get(event.reported_type, ANY):
        try:
            return decoder(event.data)
        except DecodeError as error:
            first = first or error
    return Opaque(reason=_reason(first), data=event.data)


def _reason(error: DecodeError | None) -> str:
    return NO_TEXT if error is None or error.what == TEXT else str(error)
