"""EV_IPL: what boot loaders say they measured, told apart by the form of the text.

The form is each loader's own, not the TCG's: GRUB 2 (`grub-core/commands/tpm.c`), shim, systemd-boot and -stub.
"""

from bartizan.errors import DecodeError
from bartizan.formats.texts import MAX_TEXT, decode_text
from bartizan.model.event_data import BootText, BootTextKind, Encoding

PREFIXES: tuple[tuple[bytes, BootTextKind], ...] = (
    (b"grub_cmd: ", BootTextKind.GRUB_COMMAND),
    (b"grub_cmd ", BootTextKind.GRUB_COMMAND),
    (b"kernel_cmdline: ", BootTextKind.KERNEL_COMMAND_LINE),
    (b"grub_kernel_cmdline ", BootTextKind.KERNEL_COMMAND_LINE),
    (b"module_cmdline: ", BootTextKind.MODULE_COMMAND_LINE),
    (b"grub_module_cmdline ", BootTextKind.MODULE_COMMAND_LINE),
    (b"grub_linuxefi ", BootTextKind.FILE),
    (b"grub_initrdefi ", BootTextKind.FILE),
    (b"grub_module ", BootTextKind.FILE),
)
"""With a colon as upstream writes them, without as Red Hat's GRUB did."""
SHIM_NAMES = frozenset(
    {"MokList", "MokListX", "MokListTrusted", "MokListRT", "MokListXRT", "MokSBState", "MokDBState", "MokPolicy"}
    | {"MokIgnoreDB", "SbatLevel", "HSIStatus"}
)
UKI_SECTIONS = frozenset(
    {".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".dtbauto", ".hwids", ".efifw"}
    | {".uname", ".sbat", ".pcrsig", ".pcrpkey", ".profile"}
)
PATH_STARTS = ("(", "/", "\\")


def decode_boot_text(raw: bytes) -> BootText:
    """A boot loader's text.

    Commands and command lines are never refused for what stands in them: bytes that are not UTF-8 are kept by
    surrogate escapes. Of a shim variable's name the byte that old shims logged past it is dropped.

    Raises:
        DecodeError: the data does not read as text.
    """
    if len(raw) > MAX_TEXT:
        raise DecodeError("EV_IPL", 0, f"{len(raw)} bytes are over the limit of {MAX_TEXT}")
    command = decode_command(raw)
    if command is not None:
        kind, payload = command
        return BootText(kind=kind, text=payload.decode("utf-8", "surrogateescape"), payload=payload)
    name = raw.partition(b"\0")[0]
    if len(raw) <= len(name) + 2 and name.decode("ascii", "replace") in SHIM_NAMES:
        return BootText(kind=BootTextKind.SHIM_VARIABLE, text=name.decode(), payload=name)
    return _plain(raw)


def decode_command(raw: bytes) -> tuple[BootTextKind, bytes] | None:
    """What GRUB says it did and its text without prefix and terminator; None where it has none of the prefixes."""
    for prefix, kind in PREFIXES:
        if raw.startswith(prefix):
            return kind, raw[len(prefix) :].removesuffix(b"\0")
    return None


def _plain(raw: bytes) -> BootText:
    text = decode_text(raw)
    if text.text in UKI_SECTIONS:
        kind = BootTextKind.UKI_SECTION
    elif text.text.startswith(PATH_STARTS):
        kind = BootTextKind.FILE
    else:
        kind = BootTextKind.OTHER
    payload = text.text.encode(Encoding(text.encoding).value)
    return BootText(kind=kind, text=text.text, payload=payload, encoding=text.encoding)
