"""Arguments and options that several commands take, each described once."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]
PcrFile = Annotated[
    Path | None,
    typer.Option("--pcrs", help='PCR values to hold it against: {"sha256": {"0": "hex", …}, …}.', metavar="FILE.json"),
]
TdxQuoteFile = Annotated[
    Path | None,
    typer.Option(
        "--tdx-quote",
        help="A TDX quote (raw bytes) whose RTMRs to hold it against; its signature is not verified.",
        metavar="FILE",
    ),
]
ShowAll = Annotated[bool, typer.Option("--all", help="Show what is in order as well.")]
EvidenceDir = Annotated[
    Path,
    typer.Argument(
        help="An evidence folder: quote.attest, quote.sig, ak.pub, pcrs_at_quote.json and logs.", metavar="DIR"
    ),
]
RootsDir = Annotated[
    Path | None,
    typer.Option(
        "--roots",
        help="Accepted TPM CAs: self-signed certificates are anchors, others intermediates."
        " Without it: the TPM makers' CAs that ship with Bartizan.",
        metavar="DIR",
    ),
]
ReferenceDirs = Annotated[
    list[Path] | None,
    typer.Option(
        "--reference",
        help="Reference Values: a folder that `reference propose` or `import` wrote; may be repeated, all count.",
        metavar="DIR",
    ),
]
ReferenceKeys = Annotated[
    list[Path] | None,
    typer.Option(
        "--reference-key",
        help="Use only Reference Values signed by this public key (`reference sign`); may be repeated, one is enough.",
        metavar="PEM",
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        help="An appraisal policy (TOML), or one that ships with Bartizan: default, packaged.",
        metavar="FILE",
    ),
]
