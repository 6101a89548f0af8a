"""Has a policy analysed by the worker, within limits of time and memory. It judges nothing."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec

from bartizan.errors import ConnectorError
from bartizan.model.selinux_policy import PolicyAnalysis, Reached, Step

PYTHON = "/usr/bin/python3"
"""The system's own, which Debian's python3-setools belongs to."""
WORKER = Path(__file__).with_name("worker.py")
MAX_POLICY = 64 * 1024 * 1024
"""Bytes; Fedora's policy has 4.4 MB."""
MAX_ANSWER = 4 * 1024 * 1024
SECONDS = 60
"""Fedora's policy takes four seconds of a slow machine."""
MEGABYTES = 2048
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.$-]{1,256}$")]


class _Reached(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    domain: Name
    target: Name
    way: Annotated[tuple[tuple[Name, Name | None, Name], ...], msgspec.Meta(min_length=1, max_length=512)]
    constrained: bool
    unconfined: bool


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    types: Annotated[int, msgspec.Meta(ge=0)]
    permissive: tuple[Name, ...]
    domains: dict[Name, bool]
    reached: tuple[_Reached, ...]


def analyse(
    policy: bytes,
    *,
    domains: Sequence[str],
    booleans: Mapping[str, bool],
    python: str = PYTHON,
    seconds: int = SECONDS,
) -> PolicyAnalysis:
    """What follows from a binary policy for these domains, with these booleans.

    booleans: as they stand; the policy's own defaults count for those that are not given.

    Raises:
        ConnectorError: setools is missing, cannot read the policy, or did not end within its limits.
    """
    if len(policy) > MAX_POLICY:
        raise ConnectorError(f"the policy has {len(policy)} bytes, over the limit of {MAX_POLICY}")
    with tempfile.TemporaryDirectory(prefix="bartizan-policy-") as folder:
        path = Path(folder, "policy")
        path.write_bytes(policy)
        states = ",".join(f"{name}={'on' if on else 'off'}" for name, on in sorted(booleans.items()))
        answer = _run([python, "-I", str(WORKER), str(path), str(seconds), str(MEGABYTES), ",".join(domains), states])
    try:
        said = msgspec.json.decode(answer, type=_Said)
    except msgspec.DecodeError as error:
        raise ConnectorError(f"the analysis of the policy ended without an answer: {error}") from error
    return PolicyAnalysis(
        digest=sha256(policy).digest(),
        types=said.types,
        permissive=said.permissive,
        domains=said.domains,
        reached=tuple(_reached(one) for one in said.reached),
    )


def _reached(one: _Reached) -> Reached:
    way = tuple(Step(source=source, entry=entry, target=target) for source, entry, target in one.way)
    return Reached(domain=one.domain, way=way, constrained=one.constrained, unconfined=one.unconfined)


def _run(command: list[str]) -> bytes:
    try:
        ended = subprocess.run(  # noqa: S603  # fixed programs, and a file of ours
            command, capture_output=True, check=False, timeout=2 * int(command[4]), stdin=subprocess.DEVNULL, env={}
        )
    except subprocess.TimeoutExpired as error:
        raise ConnectorError(f"the analysis of the policy was killed after {error.timeout:.0f} seconds") from error
    except OSError as error:
        raise ConnectorError(f"{command[0]} cannot be run: {error.strerror}") from error
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        why = said[-1][:400] if said else f"ended by signal {-ended.returncode}"
        missing = "; Debian: apt install python3-setools" if "No module named 'setools'" in why else ""
        raise ConnectorError(f"the policy could not be analysed: {why}{missing}")
    return ended.stdout[:MAX_ANSWER]
