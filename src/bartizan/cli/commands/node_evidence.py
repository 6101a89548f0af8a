"""`bartizan node findings|evidence`: what is not in order on a node, and the evidence that says so."""

import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
from rich.text import Text

from bartizan.app.defaults import catalogue
from bartizan.cli.asking import asking
from bartizan.cli.commands.node import NodeName, path_of
from bartizan.cli.console import GOOD, console, counted, mark, signed, urgency
from bartizan.cli.options import AsJson
from bartizan.cli.verdict import show_explanations
from bartizan.cli.wording import clock, hint, say, show_document, table_of
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import Finding, NodeFindings, Result
from bartizan.connectors.service.verdict import verdict_of
from bartizan.errors import ConfigError, ConnectorError
from bartizan.model.node import Role
from bartizan.model.result import Tier

ZIP = "application/zip"
MAX_FILE, MAX_FILES = 256 << 20, 64
"""Of an evidence folder: bytes of a file, and files."""


@asking()
def findings(
    client: ServiceClient,
    *,
    node: NodeName,
    explain: Annotated[bool, typer.Option("--explain", help="Each in full: why it matters, and what to do.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show what is not in order on a node, the worst first, with what people say of it.

    Example: `bartizan node findings compute-01 --explain`. Exit: 0 shown, 2 refused, 3 the service cannot be asked.
    """
    found = client.get(path_of(node, "/findings"), NodeFindings)
    if as_json:
        show_document({"node": found.node, "maintenance": found.maintenance, "findings": found.items})
        return GOOD
    for window in found.maintenance:
        say(f"in maintenance until {clock(window.ends_at)}, says {window.created_by}: {window.reason}", style="yellow")
    if not found.items:
        say(f"{found.node}: nothing that was looked at is out of order")
    elif explain:
        show_explanations(verdict_of(client.get(path_of(node, "/result"), Result)), catalogue())
    else:
        worst_first = sorted(found.items, key=lambda item: (urgency(Tier(item.tier)), not item.keeps_down))
        console.print(table_of(["tier", "check", "why"], [_row(item) for item in worst_first], fold="why"))
        tiers = [Tier(item.tier) for item in worst_first]
        say(", ".join(f"{tiers.count(tier)} {tier.value}" for tier in dict.fromkeys(tiers)))
        hint(f"bartizan node findings {found.node} --explain: why each matters, and what to do")
    return GOOD


def _row(item: Finding) -> list[str | Text]:
    why = Text(item.why + (f" (and {item.count - 1} more)" if item.count > 1 else ""))
    if item.keeps_down:
        why.append(f" {signed('→')} keeps it from the next level", style="bold")
    for said in item.acknowledged:
        why.append(f" (known until {clock(said.ends_at)}, {said.created_by}: {said.reason})", style="cyan")
    return [mark(Tier(item.tier)), item.check, why]


@asking(Role.AUDITOR)
def evidence(
    client: ServiceClient,
    *,
    node: NodeName,
    out: Annotated[Path, typer.Option("--out", help="A folder that is not there yet, or empty.", metavar="DIR")],
    as_json: AsJson = False,
) -> int:
    """Fetch the evidence of the verdict that stands into a folder: to re-check it, or to learn from it.

    Example: `bartizan node evidence compute-01 --out ./compute-01`, then `bartizan appraise ./compute-01` or
    `bartizan reference propose ./compute-01 --out ./reference`. Needs the role auditor.

    Exit: 0 written, 2 refused, 3 the service cannot be asked.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: is there already, and is left as it is; name a folder that is not there yet")
    files = _unpacked(client.content(path_of(node, "/evidence"), ZIP))
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    if as_json:
        show_document({"path": str(out), "files": sorted(files)})
        return GOOD
    say(f"{out}: {counted(len(files), 'file')}")
    hint(f"  bartizan explain {out}")
    hint(f"  bartizan reference propose {out} --out REF")
    return GOOD


def _unpacked(raw: bytes) -> dict[str, bytes]:
    """The files of an archive that is flat, or has one folder.

    Raises:
        ConnectorError: it is another one.
    """
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            if len(members) > MAX_FILES or any(one.file_size > MAX_FILE for one in members):
                raise ConnectorError("the evidence: more, or larger, files than evidence has")
            return {_plain_name(one.filename): archive.read(one) for one in members}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ConnectorError(f"the evidence: a ZIP file expected: {error}") from error


def _plain_name(name: str) -> str:
    found = PurePosixPath(name)
    if found.name in {"", "..", "."} or "\\" in name or "\0" in name:
        raise ConnectorError(f"the evidence: {name!a} is no name of a file of evidence")
    return found.name
