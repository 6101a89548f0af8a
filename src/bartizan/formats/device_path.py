"""UEFI device paths: their nodes, and the file they name; UEFI 2.10, 10.3. `device_path_text` writes them out.

A path in an event is the log's word: the event's digest does not cover it.
"""

from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.model.uefi import DevicePath, PathNode

MAX_PATH = 64 * 1024
"""Bytes of a path; the longest seen have some hundreds."""
MAX_NODES = 256
"""Nodes of a path; the longest seen have about ten."""
NODE_HEADER = Struct("<BBH")
MEDIA = 0x04
FILE_PATH = 0x04
RELATIVE_OFFSET = 0x08
END = 0x7F
END_ENTIRE = 0xFF


def decode_device_path(raw: bytes, *, start: int = 0, end: int | None = None) -> DevicePath:
    """One device path in `raw[start:end]`; no bytes are the empty path, which shim gives for what it loads itself.

    Raises:
        DecodeError: a node that does not fit, no End node, too many nodes, or bytes after the End node.
    """
    reader = LittleReader(raw, start=start, end=end)
    if reader.remaining > MAX_PATH:
        raise reader.refuse("device path", f"{reader.remaining} bytes are over the limit of {MAX_PATH}")
    if not reader.remaining:
        return DevicePath(nodes=())
    path = read_device_path(reader)
    reader.finish("device path")
    return path


def read_device_path(reader: LittleReader) -> DevicePath:
    """One device path up to and with its End node, from a reader that may hold more.

    Raises:
        DecodeError: a node that does not fit, no End node or too many nodes.
    """
    nodes: list[PathNode] = []
    while len(nodes) <= MAX_NODES:
        start = reader.offset
        kind, subtype, length = reader.unpack(NODE_HEADER, "device path node")
        if length < NODE_HEADER.size:
            raise DecodeError("device path node", start + 2, f"length {length} is shorter than the node's header")
        node = PathNode(kind, subtype, reader.take(length - NODE_HEADER.size, "device path node"))
        if node == (END, END_ENTIRE, b""):
            return DevicePath(nodes=tuple(nodes))
        nodes.append(node)
    raise reader.refuse("device path", f"more than {MAX_NODES} nodes")


def file_path(path: DevicePath) -> str | None:
    r"""The file that a path names, such as `\EFI\BOOT\BOOTX64.EFI`, its parts joined; None when it names none."""
    parts = [
        node.data.decode("utf-16-le", "surrogatepass").partition("\0")[0]
        for node in path.nodes
        if (node.type, node.subtype) == (MEDIA, FILE_PATH) and len(node.data) % 2 == 0
    ]
    if not parts:
        return None
    return "\\".join(part.strip("\\") if number else part.rstrip("\\") for number, part in enumerate(parts))


def is_option_rom(path: DevicePath) -> bool:
    """It ends in a byte range, which is how firmware names an image inside a PCI device's option ROM."""
    return bool(path.nodes) and path.nodes[-1][:2] == (MEDIA, RELATIVE_OFFSET)
