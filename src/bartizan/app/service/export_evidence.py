"""What is kept of a node's boot as an evidence folder in a ZIP file, for `bartizan appraise` on another machine.

The activation of the AK and the binding of the posture cannot be shown from files; the folder says so when appraised.
"""

import asyncio
import base64
import io
import json
import textwrap
import zipfile
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

from bartizan.app.evidence_folder import OTHER_LOGS
from bartizan.app.node_state import posture_digest
from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.fleet import seen_node
from bartizan.app.service.identity import reported_identity
from bartizan.app.service.judging import challenge_for, split_pcrs
from bartizan.app.service.refusals import Missing
from bartizan.app.service.service import Service
from bartizan.formats.agent_message import decode_enrol
from bartizan.model.certificate import Certificate
from bartizan.model.node import KeptBoot, NodeRecord
from bartizan.store.kept import kept_boot
from bartizan.store.nodes import find_node
from bartizan.store.rules import Author

PEM_WIDTH = 64


async def evidence_of(service: Service, who: Who, given: str) -> tuple[str, bytes]:
    """A node's name, and its present evidence as a ZIP file. Who took it is in the audit.

    Raises:
        Missing: there is no such node, or nothing was accepted of it yet.
    """

    def query(connection: Connection) -> tuple[NodeRecord, KeptBoot]:
        row = seen_node(connection, who, given)
        found, kept = find_node(connection, row.uid), kept_boot(connection, row.id)
        if found is None or kept is None:
            raise Missing(f"nothing is kept of node {row.name}: it is retired, or nothing was accepted of it yet")
        return found[0], kept

    record, kept = await service.read(query)

    def run(_: Connection, __: Author) -> None:
        """Nothing but the entry."""

    await change(service, who, run, lambda _: Deed("evidence.export", f"node:{record.name}", record.uid))
    return record.name, await asyncio.to_thread(zipped, record, kept)


def zipped(record: NodeRecord, kept: KeptBoot) -> bytes:
    """The folder in a ZIP file; the same evidence makes the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in folder_of(record, kept).items():
            archive.writestr(zipfile.ZipInfo(f"{record.name}/{name}"), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def folder_of(record: NodeRecord, kept: KeptBoot) -> Mapping[str, bytes]:
    """The files of the evidence folder (docs/reference/evidence-folder.md)."""
    request = decode_enrol(record.identity)
    identity = reported_identity(request)
    banks = split_pcrs(kept.pcrs, record.banks)
    challenge = challenge_for(record, kept.nonce, posture_sha256=posture_digest(kept.posture))
    certificate = identity.ek_certificate
    files = {
        "quote.attest": kept.attest,
        "quote.sig": kept.signature,
        "ak.pub": request.ak,
        "ek.pub": request.ek,
        "ek_cert.der": None if certificate is None else certificate.raw,
        "ek_chain.pem": "".join(map(_pem, identity.chain)).encode() or None,
        "pcrs_at_quote.json": json.dumps(
            {bank.label: {str(pcr): value.hex() for pcr, value in values.items()} for bank, values in banks.items()}
        ).encode(),
        "nonce.bin": challenge.extra_data,
        "bios_at_quote.bin": kept.boot_log,
        "txt_eventlog.bin": kept.launch_log,
        "cmdline": kept.command_line,
        "ima_at_quote.bin": kept.ima,
        "posture.json": kept.posture,
    }
    others = dict(zip(OTHER_LOGS, kept.other_logs, strict=False))
    return dict(_present(files | others))


def _present(files: Mapping[str, bytes | None]) -> Iterator[tuple[str, bytes]]:
    return ((name, content) for name, content in files.items() if content is not None)


def _pem(certificate: Certificate) -> str:
    text = "\n".join(textwrap.wrap(base64.b64encode(certificate.raw).decode(), PEM_WIDTH))
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
