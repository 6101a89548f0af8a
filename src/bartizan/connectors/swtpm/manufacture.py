"""New emulated TPMs, as a factory would make them: keys, EK certificates, a platform certificate, PCR banks.

Runs `swtpm_setup`, which asks `swtpm_localca` for the certificates. Everything, the CA included, lives in one folder
that the caller owns; no special right and no network is needed. The TPMs are left switched off.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bartizan.connectors.swtpm.tools import Tools, ended_tools
from bartizan.errors import ConnectorError

PACKAGES: Mapping[str, str] = {
    "swtpm": "swtpm",
    "swtpm_setup": "swtpm-tools",
    "swtpm_localca": "swtpm-tools",
    "swtpm_cert": "swtpm-tools",
    "certtool": "gnutls-bin",
}
"""Programs and the Debian and Ubuntu packages they come in."""
BANKS = "sha1,sha256,sha384"
WORKERS = 8
"""Manufactured at once: most of the time the tools wait for one another."""
SECONDS = 120
"""Patience with one `swtpm_setup`, which needs under a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory:
    """A folder with a CA of its own and the TPMs it certified.

    certificates: the CA's, PEM, written with the first TPM: the root and the issuer of EK and platform certificates.
    """

    folder: Path

    @property
    def root_certificate(self) -> Path:
        """The trust anchor."""
        return self.folder / "ca" / "swtpm-localca-rootca-cert.pem"

    @property
    def issuer_certificate(self) -> Path:
        """The intermediate that signs EK and platform certificates."""
        return self.folder / "ca" / "issuercert.pem"

    def state(self, name: str) -> Path:
        """Where the TPM of this name keeps its state."""
        return self.folder / "tpm" / name


@contextmanager
def open_factory(folder: Path | None = None) -> Iterator[Factory]:
    """A factory in this folder, or in a temporary one that vanishes with its TPMs afterwards.

    Ubuntu confines swtpm to places such as `/tmp`, `/var/tmp` and its own state folders; choose one of those.

    Raises:
        ConnectorError: a program is missing.
    """
    for program in PACKAGES:
        find_program(program)
    if folder is not None:
        yield _set_up(folder)
        return
    with tempfile.TemporaryDirectory(prefix="bartizan-tpm-") as temporary:
        yield _set_up(Path(temporary))


def find_program(name: str) -> str:
    """The path of one of the programs above.

    Raises:
        ConnectorError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        package = PACKAGES[name]
        raise ConnectorError(f"{name} is not installed: on Debian and Ubuntu, `apt-get install {package}`")
    return path


def _set_up(folder: Path) -> Factory:
    authority = folder / "ca"
    authority.mkdir(parents=True, exist_ok=True)
    settings = {
        "localca.options": ["--platform-manufacturer Bartizan", "--platform-version 1.0", "--platform-model Emulated"],
        "localca.conf": [
            f"statedir = {authority}",
            f"signingkey = {authority / 'signkey.pem'}",
            f"issuercert = {authority / 'issuercert.pem'}",
            f"certserial = {authority / 'certserial'}",
        ],
        "setup.conf": [
            f"create_certs_tool = {find_program('swtpm_localca')}",
            f"create_certs_tool_config = {folder / 'localca.conf'}",
            f"create_certs_tool_options = {folder / 'localca.options'}",
            f"active_pcr_banks = {BANKS}",
        ],
    }
    for name, lines in settings.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Factory(folder=folder)


def manufacture(factory: Factory, names: Sequence[str]) -> tuple[Path, ...]:
    """The state folders of new TPMs with these names, in their order; several are made at once.

    Raises:
        ConnectorError: a tool failed; what it said is part of the message.
    """
    waiting = list(names)
    with ThreadPoolExecutor(max_workers=WORKERS) as pool, ended_tools() as tools:
        if waiting and not factory.issuer_certificate.exists():
            # The first one alone: the tool makes its CA without a lock, and parallel runs would make one each.
            pool.submit(_manufacture_one, factory, waiting.pop(0), tools=tools).result()
        for one in [pool.submit(_manufacture_one, factory, name, tools=tools) for name in waiting]:
            one.result()
    return tuple(factory.state(name) for name in names)


def _manufacture_one(factory: Factory, name: str, *, tools: Tools) -> None:
    state = factory.state(name)
    try:
        state.mkdir(parents=True)
    except FileExistsError as error:
        raise ConnectorError(f"TPM {name!r} exists already in {factory.folder}") from error
    command = [find_program("swtpm_setup"), "--tpm2", "--tpm-state", str(state)]
    command += ["--config", str(factory.folder / "setup.conf"), "--pcr-banks", BANKS]
    command += ["--create-ek-cert", "--create-platform-cert", "--lock-nvram"]
    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(factory.folder)}
    try:
        code, said = tools.run(command, environment, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConnectorError(f"swtpm_setup did not make TPM {name!r}: {error}") from error
    if code:
        quoted = " / ".join(said.strip().splitlines()[-5:])
        raise ConnectorError(f"swtpm_setup could not make TPM {name!r}: {quoted}")
