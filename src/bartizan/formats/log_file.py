"""A log as files hold it: plain, in TXT's container, or inside a dump of the TXT heap. What it is, its bytes say."""

from bartizan.errors import DecodeError
from bartizan.formats.ccel_table import SIGNATURE, TABLE_SIZE, decode_ccel_table
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.txt_heap import (
    decode_txt_container,
    decode_txt_heap,
    find_embedded_log,
    is_container,
    is_txt_heap,
)
from bartizan.model.boot_log import BootLog


def decode_log_file(raw: bytes) -> BootLog:
    """The log that a file holds.

    Raises:
        DecodeError: no log, or one that its format does not allow.
    """
    if is_container(raw):
        return decode_txt_container(raw)
    if is_txt_heap(raw):
        return decode_txt_heap(raw)
    if len(raw) == TABLE_SIZE and raw.startswith(SIGNATURE):
        table = decode_ccel_table(raw)
        why = f"the ACPI table CCEL, which only says where the log is: at 0x{table.log_address:x}"
        raise DecodeError("boot log", 0, why)
    try:
        return decode_boot_log(raw)
    except DecodeError:
        found = find_embedded_log(raw)
        if found is None or not found.start:
            raise
        return found
