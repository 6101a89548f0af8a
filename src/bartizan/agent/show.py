"""What would be sent and what the agent is doing, in words and as JSON. It asks nobody."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import datetime, timezone
from typing import Dict, List, Mapping, Optional

from bartizan.agent.errors import JUDGED_BAD, OUTSIDE
from bartizan.agent.ima import count_entries
from bartizan.agent.keys import read_attest
from bartizan.agent.messages import Evidence, Identity
from bartizan.agent.state import Node, Progress
from bartizan.agent.text import plain, seconds
from bartizan.collect.marshal import SHA1, SHA256, SHA384, SHA512

ALGORITHMS = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512"}
SIZES = {SHA1: 20, SHA256: 32, SHA384: 48, SHA512: 64}
ROW = "  {:<18} {}\n"
OVERDUE = 30.0
"""Seconds behind its own time after which no agent seems to run: it never waits longer than it says."""
WORDS = {
    "enrolling": "asks the service to enrol this node",
    "activating": "shows the service that its TPM holds the keys",
    "in-review": "waits for a person to look at the enrolment",
    "refused": "was refused by the service and does nothing more",
    "asking": "asks the service for a challenge",
    "waiting": "holds a challenge and waits until it is due",
    "attesting": "quotes and sends evidence",
    "backing-off": "waits after a failure",
}


def alg_name(alg: int) -> str:
    """A bank as people call it."""
    return ALGORITHMS.get(alg, f"0x{alg:04x}")


def identity_words(identity: Identity) -> str:
    """What enrolment would send of the TPM."""
    filled = (f"{alg_name(alg)}{'' if full else ' (not filled by firmware)'}" for alg, full in identity.banks.items())
    rows = ROW.format("endorsement key", _sized(identity.ek)) + ROW.format("attestation key", _sized(identity.ak))
    for index, certificate in identity.certificates.items():
        rows += ROW.format("certificate", f"NV 0x{index:08x}: {_sized(certificate)}")
    made = f"{identity.manufacturer} {identity.model}, firmware {identity.firmware:#x}"
    return rows + ROW.format("TPM", plain(made)) + ROW.format("PCR banks", ", ".join(filled))


def evidence_words(evidence: Evidence) -> str:
    """What one attestation would send."""
    quoted = read_attest(evidence.attest)
    rows = ROW.format("quote", f"of {len(evidence.attest)} bytes, signature of {len(evidence.signature)}")
    rows += ROW.format("  binds", quoted.extra_data.hex())
    rows += ROW.format("  TPM counters", f"resets {quoted.reset_count}, restarts {quoted.restart_count}")
    for alg, values in evidence.pcrs.items():
        size = SIZES.get(alg, len(values) or 1)
        for at in range(0, len(values), size):
            rows += ROW.format(f"PCR {alg_name(alg)} #{at // size}", values[at : at + size].hex())
    for name, log in (evidence.boot or {}).items():
        rows += ROW.format(name.replace("_", " "), _log_words(name, log))
    if evidence.ima is not None:
        rows += ROW.format("IMA list", _ima_words(evidence.ima))
    rows += ROW.format("posture", _posture_words(evidence.posture))
    return rows + "".join(ROW.format("note", plain(note)) for note in evidence.notes)


def identity_json(identity: Identity) -> Dict[str, object]:
    """The same, for a program."""
    return _readable(identity.members())


def evidence_json(evidence: Evidence) -> Dict[str, object]:
    """The same, for a program; the posture document is JSON anyway."""
    found = _readable(evidence.members())
    if evidence.posture is not None:
        found["posture"] = json.loads(evidence.posture)
    return found


def _readable(document: Mapping[str, object]) -> Dict[str, object]:
    return {name: _in_hex(value) for name, value in document.items()}


def _in_hex(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else f"0x{key:x}": _in_hex(item) for key, item in value.items()}
    return [_in_hex(item) for item in value] if isinstance(value, (list, tuple)) else value


def _sized(blob: bytes) -> str:
    return f"{len(blob)} bytes, sha256 {hashlib.sha256(blob).hexdigest()}"


def _log_words(name: str, log: object) -> str:
    if not isinstance(log, bytes):
        return plain(str(log))
    return plain(log.decode("utf-8", "backslashreplace").rstrip("\n")) if name == "command_line" else _sized(log)


def _ima_words(ima: Mapping[str, object]) -> str:
    entries = ima.get("entries")
    if not isinstance(entries, bytes):
        return "none"
    return f"{count_entries(io.BytesIO(entries))} entries from {ima.get('first')} on, {len(entries)} bytes"


def _posture_words(posture: Optional[bytes]) -> str:
    if posture is None:
        return "none"
    document = json.loads(posture)
    counts = ", ".join(f"{len(document[part])} {part}" for part in ("files", "folders", "nodes", "workloads"))
    return f"{counts}: {len(posture)} bytes; --json shows them all"


# How the agent is doing.


def status_json(node: Node, progress: Optional[Progress]) -> Dict[str, object]:
    """Node and progress as a document; never the token."""
    found = {name: value for name, value in node._asdict().items() if name != "token"}
    if progress is not None:
        found.update(progress._asdict())
        for name in ("since", "next_due", "last_success", "last_error_at"):
            found[name] = _moment(found[name])
    return found


def status_words(node: Node, progress: Optional[Progress], now: float) -> str:
    """The same as sentences."""
    who = (
        f"Node {node.node} ({node.name}, {node.role})" if node.node else f"{node.name} ({node.role}), not enrolled yet,"
    )
    lines: List[str] = [f"{who} of {node.service}"]
    if progress is None:
        return f"{lines[0]}\nThe agent has not run yet. What to do: bartizan-agent run\n"
    then = f", then goes on: {WORDS.get(progress.then, progress.then)}" if progress.then else ""
    lines.append(f"{progress.state}: it {WORDS.get(progress.state, progress.state)}{then}")
    lines += [f"in review: {plain(progress.review)}"] if progress.review else []
    if progress.next_due is not None:
        late = now - progress.next_due
        lines.append(f"next: in {seconds(-late)}" if late < 0 else f"next: was due {seconds(late)} ago")
        if late > OVERDUE:
            lines.append("No agent seems to run. What to do: systemctl status bartizan-agent, or bartizan-agent run")
    if progress.last_success is not None:
        lines.append(
            f"last success: {_moment(progress.last_success)} ({seconds(max(0.0, now - progress.last_success))} ago)"
        )
    if progress.last_error_at is not None:
        lines.append(f"last error: {_moment(progress.last_error_at)}: {plain(progress.last_error)}")
    if progress.level is not None:
        lines.append(("last " if is_overdue(progress, now) else "") + result_words(progress))
    return "\n".join(lines) + "\n"


def result_words(progress: Progress) -> str:
    """What the service makes of the node."""
    bad = "; CONTRAINDICATED" if progress.contraindicated else ""
    whys = "".join(f"\n  what keeps it from the next level: {why}" for why in progress.keeps_down)
    return f"result: level {progress.level}, {progress.trust}{bad}{whys}"


def is_overdue(progress: Progress, now: float) -> bool:
    """The agent has done nothing for so long that none seems to run."""
    return progress.next_due is not None and now - progress.next_due > OVERDUE


def status_code(progress: Optional[Progress], now: float) -> int:
    """0: it attests; 1: the service says no; 3: something outside keeps it from attesting, or no agent runs."""
    if progress is None or progress.state == "backing-off" or is_overdue(progress, now):
        return OUTSIDE
    return JUDGED_BAD if progress.contraindicated or progress.state == "refused" else 0


def _moment(at: object) -> Optional[str]:
    if not isinstance(at, float):
        return None
    try:
        return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None
