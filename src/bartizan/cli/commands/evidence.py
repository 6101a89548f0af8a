"""`bartizan log`, `ima` and `quote`: one piece of evidence by itself."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bartizan.app.evidence_folder import read_file
from bartizan.app.inspect_ima import ImaReport, inspect_ima
from bartizan.app.inspect_log import LogReport, inspect_log
from bartizan.app.inspect_quote import QuoteReport, inspect_quote
from bartizan.cli import documents
from bartizan.cli.console import BAD, GOOD, console, counted, findings_table, mark, print_json, reporting, signed
from bartizan.cli.options import AsJson, PcrFile, ShowAll, TdxQuoteFile
from bartizan.errors import ConfigError
from bartizan.formats.event_data import decode_event_data
from bartizan.formats.event_text import describe
from bartizan.formats.inert import inert
from bartizan.formats.pcr_file import decode_pcr_file
from bartizan.formats.strict import hex_bytes
from bartizan.model.boot_log import NO_PCR, LogFormat, type_label
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.ima import IMA_PCR
from bartizan.model.result import Finding, Tier
from bartizan.verify.cc_log import register_name
from bartizan.verify.quote import ranges

NOT_HELD = "decoded; not held against a TPM (give --pcrs)"
"""What stands beside a status that no PCR values were asked for."""
MAX_PATH = 4096
"""Characters of a path that are shown; Linux PATH_MAX."""


def _pcrs(path: Path | None) -> PcrBanks | None:
    return decode_pcr_file(read_file(path)) if path is not None else None


@reporting
def log(
    file: Annotated[
        Path,
        typer.Argument(help="A boot log: binary_bios_measurements, CCEL, TXT (or a dump of its heap), Windows WBCL."),
    ],
    pcrs: PcrFile = None,
    tdx_quote: TdxQuoteFile = None,
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> int:
    """Decode a boot log, replay it, check that it keeps its own rules, and hold it against PCR values or a quote.

    Exit: 0 good, 1 contraindicated or a PCR (or register) does not match, 2 not a boot log.
    """
    quote = read_file(tdx_quote) if tdx_quote is not None else None
    report = inspect_log(read_file(file), _pcrs(pcrs), tdx_quote=quote)
    if as_json:
        print_json(documents.log_document(report))
    else:
        _show_log(report, file=file, show_all=show_all)
    return GOOD if report.good else BAD


def _show_log(report: LogReport, *, file: Path, show_all: bool) -> None:
    banks = ", ".join(documents.bank_name(alg) for alg in report.log.algorithms)
    padded = f", {counted(report.log.padding, 'byte')} of padding" if report.log.padding else ""
    found = f", found at byte {report.log.start} of a dump" if report.log.start else ""
    said = (
        f"{report.log.format.value} boot log, {counted(len(report.log.events), 'event')}, banks {banks}{padded}{found}"
    )
    console.print(Text(f"{_name(file)}: {said}"))
    if report.quote is not None:
        console.print(Text(f"TDX quote version {report.quote.version}, signature {documents.SIGNATURE_NOT_VERIFIED}"))
    console.print()
    if show_all:
        console.print(_events_table(report))
        console.print()
    console.print(_banks_table(report))
    if _untouched(report):
        console.print(Text(f"without events, and at their reset value: {_indices(report, _untouched(report))}"))
    console.print()
    held = bool(report.matches) or report.quote is not None
    _show_findings(report.findings, status=report.status, show_all=show_all, note="" if held else NOT_HELD)


def _name(path: Path) -> str:
    return inert(str(path), limit=MAX_PATH)


def _kind(report: LogReport) -> str:
    """What the log's indices are."""
    return "register" if report.log.format is LogFormat.CCEL else "PCR"


def _index(report: LogReport, index: int) -> str:
    """An index as people know it: a PCR by its number, a register of a trust domain by its name."""
    if index == NO_PCR:
        return "–"
    return register_name(index, report.pinned) if report.log.format is LogFormat.CCEL else str(index)


def _indices(report: LogReport, indices: frozenset[int]) -> str:
    if report.log.format is LogFormat.CCEL:
        return ", ".join(register_name(index, report.pinned) for index in sorted(indices))
    return f"PCR {ranges(indices)}"


def _events_table(report: LogReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("event", justify="right")
    table.add_column(_kind(report), justify="right")
    table.add_column("type as labelled", no_wrap=True)
    table.add_column("what the log says it is", overflow="fold")
    for event in report.log.events:
        said = Text(describe(decode_event_data(event)))
        table.add_row(str(event.index), _index(report, event.pcr), type_label(event.reported_type), said)
    return table


def _banks_table(report: LogReport) -> Table:
    shown = [alg for alg in report.banks if alg in report.matches]
    replayed = report.banks[report.pinned]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(_kind(report), justify="right", no_wrap=True)
    holder = "quote" if report.quote is not None else "TPM"
    for alg in shown:
        table.add_column(alg.label, no_wrap=True)
    title = f"{report.pinned.label}, replayed from the log" + (f"; left: as in the {holder}?" if shown else "")
    table.add_column(title, overflow="fold")
    wrong = {pcr for bank in report.matches.values() for pcr, holds in bank.items() if not holds}
    for pcr in sorted({*replayed, *wrong}):
        value = replayed[pcr].hex() if pcr in replayed else "(no event in the log)"
        table.add_row(_index(report, pcr), *(_answer(report.matches[alg].get(pcr)) for alg in shown), value)
    return table


def _untouched(report: LogReport) -> frozenset[int]:
    """PCRs that match because nothing was measured into them."""
    given = {pcr for bank in report.matches.values() for pcr, holds in bank.items() if holds}
    return frozenset(given - set(report.banks[report.pinned]))


def _answer(holds: bool | None) -> Text:
    if holds is None:
        return Text("not given")
    return Text(signed("✔ yes"), style="green") if holds else Text(signed("✘ no"), style="bold red")


def _show_findings(findings: tuple[Finding, ...], *, status: Tier, show_all: bool, note: str = "") -> None:
    table = findings_table(findings, affirming=show_all)
    if table.row_count:
        console.print(table)
        console.print()
    line = Text("status: ").append_text(mark(status))
    console.print(line.append(f"  {note}", style="default") if note else line)


@reporting
def ima(
    file: Annotated[Path, typer.Argument(help="ascii_runtime_measurements or binary_runtime_measurements.")],
    pcrs: PcrFile = None,
    pcr10: Annotated[
        str | None, typer.Option("--pcr10", help="The value of PCR 10, instead of --pcrs.", metavar="HEX")
    ] = None,
    bank: Annotated[str, typer.Option("--bank", help="The bank that --pcr10 is of.", metavar="ALG")] = "sha256",
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> int:
    """Decode an IMA list, replay it, and hold it against PCR 10 (with PCR 0–9 also its boot_aggregate).

    Exit: 0 good, 1 contraindicated or PCR 10 does not match, 2 not an IMA list.
    """
    report = inspect_ima(read_file(file), _ima_pcrs(pcrs, pcr10, bank))
    if as_json:
        print_json(documents.ima_document(report))
        return GOOD if report.good else BAD
    _show_list(report, file=file)
    console.print()
    note = NOT_HELD if report.pinned is None else ""
    _show_findings(report.findings, status=report.status, show_all=show_all, note=note)
    return GOOD if report.good else BAD


def _show_list(report: ImaReport, *, file: Path) -> None:
    entries = counted(len(report.list.entries), "entry", "entries")
    templates = inert(", ".join(report.list.templates))
    console.print(Text(f"{_name(file)}: {report.list.form.value} IMA list, {entries}, template {templates}"))
    if report.violations:
        console.print(Text(f"violations: {report.violations} (the kernel could not vouch for these files)"))
    if report.pinned is not None:
        console.print(Text(_matched(report, report.pinned)))


def _matched(report: ImaReport, pinned: HashAlg) -> str:
    if report.matched is None:
        return f"no part of the list leads to PCR {IMA_PCR} of the {pinned.label} bank"
    total = len(report.list.entries)
    lead = "entry leads" if total == 1 else "entries lead"
    return f"{report.matched} of {total} {lead} to PCR {IMA_PCR} of the {pinned.label} bank"


def _ima_pcrs(pcrs: Path | None, pcr10: str | None, bank: str) -> PcrBanks | None:
    if pcr10 is None:
        return _pcrs(pcrs)
    if pcrs is not None:
        raise ConfigError("--pcrs and --pcr10 say the same thing: give one of them")
    try:
        alg = HashAlg.from_label(bank)
    except KeyError as error:
        raise ConfigError(f"--bank: a bank such as sha256 expected, found {bank[:40]!a}") from error
    value = hex_bytes(pcr10, "--pcr10")
    if len(value) != alg.size:
        raise ConfigError(f"--pcr10: {alg.size} bytes of {alg.label} expected, found {len(value)}")
    return {alg: {IMA_PCR: value}}


@reporting
def quote(
    attest: Annotated[Path, typer.Option("--attest", help="TPMS_ATTEST, as TPM2_Quote returned it.", metavar="F")],
    signature: Annotated[Path, typer.Option("--signature", help="TPMT_SIGNATURE.", metavar="F")],
    key: Annotated[Path, typer.Option("--key", help="The attestation key: TPM2B_PUBLIC, or PEM or DER.", metavar="F")],
    nonce: Annotated[
        Path | None, typer.Option("--nonce", help="The bytes that extraData must be.", metavar="F")
    ] = None,
    pcrs: PcrFile = None,
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> int:
    """Verify one quote: signature, nonce, PCR values, and what it covers.

    Exit: 0 good, 1 a part does not hold, 2 not a quote.
    """
    report = inspect_quote(
        read_file(attest),
        read_file(signature),
        read_file(key),
        nonce=read_file(nonce) if nonce is not None else None,
        pcrs=_pcrs(pcrs),
    )
    if as_json:
        print_json(documents.quote_document(report))
    else:
        _show_quote(report, show_all=show_all)
    return GOOD if report.good else BAD


def _show_quote(report: QuoteReport, *, show_all: bool) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("made by a", report.generation)
    table.add_row("signed by this key", _answer(report.signature_holds))
    table.add_row("extraData is the nonce", _answer(report.extra_data_holds))
    table.add_row("PCR values are the quoted ones", _answer(report.pcr_digest_holds))
    for alg, indices in report.selection.items():
        table.add_row(f"covers {documents.bank_name(alg)}", f"PCR {ranges(indices)}")
    if report.clock is not None:
        clock = report.clock
        safe = "safe" if clock.safe else "not safe"
        table.add_row("clock", f"reset {clock.reset_count}, restart {clock.restart_count}, {clock.clock} ms, {safe}")
    table.add_row("extraData", report.extra_data.hex())
    console.print(table)
    console.print()
    _show_findings(report.findings, status=report.status, show_all=show_all)
