"""What a live agent costs its host: resident memory of both halves, CPU seconds of one attestation.

The agent is the one-file archive, run as operators run it: two processes, an emulated TPM, TLS with a new connection
each time. Once with a boot log of 34 KB and an IMA list of 5,000 entries, once with the posture of this machine: a host
has both. The service answers yes to everything. The TPM's own work is not counted: in a machine it is not the CPU's.
"""

import argparse
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bartizan.agent.collector import BOOT_LOG as BOOT_LOG_PATH
from bartizan.agent.collector import COMMAND_LINE, IMA_LIST
from bartizan.agent.keys import read_attest
from bartizan.app.enrol_node import open_enrolment
from bartizan.connectors.swtpm.launch import power_on
from bartizan.connectors.swtpm.manufacture import manufacture, open_factory
from bartizan.connectors.swtpm.process import RunningTpm, run_tpm
from bartizan.formats.cbor import decode_cbor, encode_cbor
from bartizan.formats.tpm2 import decode_public, encode_credential
from bartizan.model.evidence import ReportedIdentity
from bench.node import entry
from bench.run import BOOT_LOG

ROOT = Path(__file__).parents[1]
NODE, NOBODY = "n-1", "65534:65534"
ENTRIES, WARM, COUNTED = 5_000, 5, 20
PERIOD = 60.0
"""Seconds between two attestations by default, for the share of a core."""
BANKS = {11: list(range(24))}


class Service:
    """Answers yes; `done` counts the evidence, `sizes` are its bytes."""

    def __init__(self) -> None:
        self.done = threading.Semaphore(0)
        self.sizes: list[int] = []
        self.held: dict[str, object] = {}

    def answer(self, path: str, raw: bytes) -> dict[str, object]:
        """The reply to one request."""
        document = decode_cbor(raw)
        assert isinstance(document, dict)
        if path.endswith("enrol"):
            identity = ReportedIdentity(
                ak=decode_public(document["ak"]), ek=decode_public(document["ek"]), ek_certificate=None
            )
            credential = open_enrolment(identity, secret=bytes(32), entropy=os.urandom(32))
            id_object, encrypted_secret = encode_credential(credential)
            opened = {"enrolment": b"bench", "expires_in": 60}
            return {**opened, "id_object": id_object, "encrypted_secret": encrypted_secret}
        given = {"challenge": self._challenge(document), "due_in": 0}
        if path.endswith("activate"):
            return {"node": NODE, **given}
        if path.endswith("evidence"):
            self.sizes.append(len(raw))
            self.done.release()
            return {"result": {"level": 4, "state": "fresh", "contraindicated": False, "keeps_down": []}, **given}
        return given

    def _challenge(self, document: dict[object, object]) -> dict[str, object]:
        if "attest" in document:
            attest = document["attest"]
            assert isinstance(attest, bytes)
            read = read_attest(attest)
            counters = {"reset_count": read.reset_count, "restart_count": read.restart_count}
            self.held = {"held": {**counters, "ima_entries": ENTRIES}}
        return {"nonce": os.urandom(32), "banks": BANKS, "expires_in": 300, **self.held}


@contextmanager
def serving(service: Service, folder: Path) -> Iterator[tuple[str, str]]:
    """URL and pin while it listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """One exchange."""
            raw = encode_cbor(service.answer(self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Type", "application/cbor")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            with suppress(OSError):  # the agent was told to end meanwhile
                self.wfile.write(raw)

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    key = ec.generate_private_key(ec.SECP256R1())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(key_pair(folder, key))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", f"sha256:{sha256(spki).hexdigest()}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def key_pair(folder: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """A PEM with the key and its certificate."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    path = folder / "pair.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
    return path


def write_logs(root: Path) -> None:
    """A kernel's logs of a boot that measured some thousand files."""
    shutil.copy(BOOT_LOG, placed(root / BOOT_LOG_PATH))
    placed(root / COMMAND_LINE).write_bytes(b"quiet\n")
    lines = [entry(b"/usr/lib/part%d/file.so" % index, sha256(b"%d" % index).digest())[0] for index in range(ENTRIES)]
    placed(root / IMA_LIST).write_bytes(b"".join(lines))


def placed(path: Path) -> Path:
    """The path, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def ticks(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> tuple[int, int]:
    """Present and highest resident memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    rss, peak = (int(status.partition(f"{name}:")[2].split()[0]) for name in ("VmRSS", "VmHWM"))
    return rss, peak


def measure(interpreter: str, archive: Path, running: RunningTpm, *, root: Path, folder: Path) -> None:
    """One agent, from its enrolment on; prints what it cost."""
    host, port = running.address
    where = ["--state", str(folder / "state"), "--tpm", f"tcp:{host}:{port}", "--root", str(root)]
    where += ["--user", NOBODY] if os.geteuid() == 0 else []
    program = [interpreter, "-I", "-S", str(archive)]
    service = Service()
    with serving(service, folder) as (url, pin):
        named = ["--service", url, "--pin", pin, "--name", "bench"]
        subprocess.run([*program, "enrol", *where, *named], check=True, stdout=subprocess.DEVNULL)
        collector = subprocess.Popen([*program, "run", *where])
        try:
            await_evidence(service, WARM)
            network = int(Path(f"/proc/{collector.pid}/task/{collector.pid}/children").read_text("ascii"))
            halves = {"collector": collector.pid, "network half": network}
            before = {name: ticks(pid) for name, pid in halves.items()}
            await_evidence(service, COUNTED)
            for name, pid in halves.items():
                seconds = (ticks(pid) - before[name]) / COUNTED
                rss, peak = resident(pid)
                print(
                    f"  {name:<13} {rss / 1024:6.1f} MiB resident, {peak / 1024:6.1f} MiB at most, "
                    f"{seconds * 1000:6.1f} ms CPU an attestation, {seconds / PERIOD:.3%} of a core at {PERIOD:.0f} s"
                )
        finally:
            collector.terminate()
            collector.wait()
    print(f"  evidence: {service.sizes[0]:,} bytes the first time, {service.sizes[-1]:,} then")


def await_evidence(service: Service, count: int) -> None:
    """So many attestations."""
    for _ in range(count):
        if not service.done.acquire(timeout=60):
            raise SystemExit("no evidence came for a minute")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interpreter", default=sys.executable, help="the Python that runs the agent")
    interpreter = parser.parse_args().interpreter
    print(subprocess.run([interpreter, "-V"], check=True, capture_output=True, text=True).stdout.strip())
    with tempfile.TemporaryDirectory(prefix="bartizan-agent-") as temporary, open_factory() as factory:
        folder = Path(temporary)
        folder.chmod(0o755)
        archive = folder / "bartizan-agent.pyz"
        subprocess.run([ROOT / "scripts" / "build-agent", "--out", archive], check=True, stdout=subprocess.DEVNULL)
        write_logs(folder / "root")
        (state,) = manufacture(factory, ["bench"])
        with run_tpm(state) as running:
            with running.connect() as tpm:
                power_on(running.control, tpm)
            for name, root in (("logs", folder / "root"), ("posture of this machine", Path("/"))):
                print(f"{name}:")
                measure(interpreter, archive, running, root=root, folder=placed(folder / name / "x").parent)


if __name__ == "__main__":
    main()
