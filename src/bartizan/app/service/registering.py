"""EKs registered beforehand, from a CSV file: name, role, EK Name. All of it or nothing; each bad line is named."""

import csv
import re
from collections.abc import Iterator

from sqlalchemy import Connection

from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.refusals import Missing, Unfit
from bartizan.app.service.service import Service
from bartizan.errors import DecodeError
from bartizan.formats.strict import hex_bytes
from bartizan.model.digest import HashAlg
from bartizan.store.joining import RegisteredEk, drop_registered, register_eks, registered
from bartizan.store.nodes import enrolled_outside
from bartizan.store.rules import Author

HEADER = ["name", "role", "ek_name"]
MAX_LINES = 200_000
NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
Row = tuple[bytes, str, str]


async def register(service: Service, who: Who, raw: bytes) -> int:
    """Register the EKs of a CSV file; how many are new.

    Raises:
        Unfit: a line that is none, or an EK of another node or project; nothing was registered.
    """
    lines = read_lines(raw)

    def run(connection: Connection, author: Author) -> int:
        taken = tuple(_taken(connection, lines, who))
        if taken:
            raise Unfit("some EKs belong to other nodes", errors=taken)
        return register_eks(connection, [row for _, row in lines], author=author)

    return await change(
        service, who, run, lambda new: Deed("endorsement-keys.register", f"{new} keys", f"{len(lines)} lines")
    )


async def take_back(service: Service, who: Who, number: int) -> None:
    """Take a registration back: its EK lets nobody in any more. A node that came in by it stays.

    Raises:
        Missing: there is none that the asker may see.
    """

    def run(connection: Connection, _: Author) -> RegisteredEk:
        found = drop_registered(connection, number, project_id=who.sees)
        if found is None:
            raise Missing(f"no registered EK {number}")
        return found

    def deed(found: RegisteredEk) -> Deed:
        return Deed("endorsement-key.withdraw", f"node:{found.node_name}", f"{found.ek_name.hex()}, role {found.role}")

    await change(service, who, run, deed)


def read_lines(raw: bytes) -> list[tuple[int, Row]]:
    """EK Name, node name and role of each line, with its number.

    Raises:
        Unfit: some lines are none.
    """
    try:
        text = raw.decode("utf-8-sig")
        rows = list(csv.reader(text.splitlines(), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unfit(f"a CSV file in UTF-8 expected: {error}") from error
    if len(rows) > MAX_LINES:
        raise Unfit(f"at most {MAX_LINES} lines expected, found {len(rows)}")
    found: list[tuple[int, Row]] = []
    faults: list[str] = []
    seen: dict[object, int] = {}
    for number, cells in enumerate(rows, start=1):
        if not cells or (number == 1 and cells == HEADER):
            continue
        try:
            row = _row(cells)
        except DecodeError as error:
            faults.append(f"line {number}: {error.what}: {error.why}")
            continue
        for what, value in (("EK Name", row[0]), ("node name", row[1])):
            first = seen.setdefault(value, number)
            if first != number:
                faults.append(f"line {number}: the same {what} as line {first}")
        found.append((number, row))
    if faults:
        raise Unfit(f"{len(faults)} faults; nothing was registered", errors=tuple(faults))
    return found


def _row(cells: list[str]) -> Row:
    if len(cells) != len(HEADER):
        raise DecodeError("columns", 0, f"{', '.join(HEADER)} expected, found {len(cells)} of them")
    name, role, ek_name = (cell.strip() for cell in cells)
    for what, value in (("name", name), ("role", role)):
        if NAME.fullmatch(value) is None:
            raise DecodeError(what, 0, f"1 to 128 characters of A-Z a-z 0-9 . _ - expected, found {value[:40]!a}")
    raw = hex_bytes(ek_name.lower(), "ek_name")
    known = {int(alg): alg.size for alg in (HashAlg.SHA256, HashAlg.SHA384, HashAlg.SHA512)}
    size = known.get(int.from_bytes(raw[:2], "big"))
    if size is None or len(raw) != 2 + size:
        why = "the Name of a TPM key expected: 000b and the SHA-256 of its public area, or the same with SHA-384, -512"
        raise DecodeError("ek_name", 0, why)
    return raw, name, role


def _taken(connection: Connection, lines: list[tuple[int, Row]], who: Who) -> Iterator[str]:
    """What speaks against each line; of another project's node no more is said than that there is one."""
    known = {row.ek_name: row for row in registered(connection)}
    enrolled = set[bytes]() if who.whole else enrolled_outside(connection, who.project)
    for number, (ek_name, name, role) in lines:
        row = known.get(ek_name)
        if ek_name in enrolled or (row is not None and who.sees not in {None, row.project}):
            yield f"line {number}: this EK is another project's"
        elif row is not None and (row.node_name, row.role) != (name, role):
            yield f"line {number}: this EK is registered for {row.node_name} ({row.role})"
