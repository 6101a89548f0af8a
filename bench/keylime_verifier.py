"""Keylime's verifier beside Bartizan's service, in one run: CPU of the process for each attestation with nothing new.

Keylime is the real one, as its users start it, with software agents that it polls without pause; both have the same
number of nodes and Reference Values of the same size. It is installed apart and called by its command alone. Without
BARTIZAN_KEYLIME_PYTHON there is nothing to compare with, which is said.
"""

import argparse
import asyncio
import base64
import json
import os
import socket
import ssl
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from bench.keylime_agents import ENC_ALGS, HASH_ALGS, MASK, SIGN_ALGS, Agents
from bench.lists import write_list
from bench.run import KEYLIME
from bench.service import SIZES, attested, cpu_of

LIST = 500
"""Entries of the agents' IMA list."""
PATIENCE = 300.0
GET_QUOTE = 3
"""An agent's state while its verifier goes on asking it; after a failure it is another one."""
VERIFIER = {
    "mode": "pull",
    "ip": "127.0.0.1",
    "database_url": "sqlite",
    "tls_dir": "generate",
    **dict.fromkeys(("server_key", "server_cert", "trusted_client_ca"), "default"),
    **dict.fromkeys(("client_key", "client_cert", "trusted_server_ca"), "default"),
    **dict.fromkeys(("server_key_password", "client_key_password"), ""),
    "enable_agent_mtls": "False",
    "num_workers": "1",
    "max_workers": "1",
    "auto_migrate_db": "True",
    "quote_interval": "0",
    "max_retries": "5",
    "retry_interval": "2",
    "exponential_backoff": "True",
    "request_timeout": "60",
    "max_upload_size": "1073741824",
    "severity_labels": '["info", "notice", "warning", "error", "critical", "alert", "emergency"]',
    "severity_policy": '[{"event_id": ".*", "severity_label": "emergency"}]',
    "measured_boot_policy_name": "accept-all",
    "measured_boot_imports": "[]",
    "measured_boot_evaluate": "once",
    "require_allow_list_signatures": "False",
}
"""Its defaults where it has any, and: no pause, no TLS towards agents, one worker. All of it in its favour."""
AUTHORITY = {
    "password": "bench",
    "cert_country": "DE",
    "cert_state": "bench",
    "cert_locality": "bench",
    "cert_organization": "bench",
    "cert_org_unit": "bench",
    "cert_ca_name": "bench",
    "cert_ca_lifetime": "3650",
    "cert_lifetime": "365",
    "cert_bits": "2048",
    "cert_crl_dist": "http://127.0.0.1/crl",
}
"""Of the CA that it makes for itself."""
REVOCATIONS = {"enabled_revocation_notifications": "[]", "zmq_ip": "127.0.0.1", "zmq_port": "8992", "webhook_url": ""}
LOGGING = {
    "loggers": {"keys": "root"},
    "handlers": {"keys": "stderr"},
    "formatters": {"keys": ""},
    "logger_root": {"level": "ERROR", "handlers": "stderr"},
    "handler_stderr": {"class": "StreamHandler", "level": "ERROR", "args": "(sys.stderr,)"},
}
ROW = "{:<34} {:>14} {:>14} {:>12} {:>10}"


def free_port() -> int:
    """A port that nobody listens on; Keylime takes none by itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def policy(lines: list[str], files: int) -> str:
    """A runtime policy that knows these lines, and so many files in all."""
    known = {line.split()[4]: [line.split()[3].partition(":")[2]] for line in lines}
    others = {f"/opt/other/{number}": [f"{number:064x}"] for number in range(files - len(known))}
    return json.dumps(
        {
            "meta": {"version": 1, "generator": 0},
            "release": 0,
            "digests": known | others,
            "excludes": [],
            "keyrings": {},
            "ima": {"ignored_keyrings": [], "log_hash_alg": "sha1", "dm_policy": None},
            "ima-buf": {},
            "verification-keys": "",
        }
    )


@contextmanager
def keylime(interpreter: str, folder: Path) -> Iterator[tuple[int, httpx.Client]]:
    """Its verifier on a folder of its own: the process, and a client that may register agents."""
    port = free_port()
    sections = {
        "verifier": {"verifier": VERIFIER | {"port": str(port)}, "revocations": REVOCATIONS},
        "ca": {"ca": AUTHORITY},
        "logging": LOGGING,
    }
    own = {"KEYLIME_DIR": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    for component, content in sections.items():
        place = folder / f"{component}.conf"
        place.write_text("".join(_section(name, options) for name, options in content.items()))
        own[f"KEYLIME_{component.upper()}_CONFIG"] = str(place)
    environment = os.environ | own
    with (folder / "log").open("w") as log:
        command = [interpreter, "-m", "keylime.cmd.verifier"]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield process.pid, _client(process, folder, port)
        finally:
            for child in children(process.pid):
                os.kill(child, 15)
            process.terminate()
            process.wait()


def _section(name: str, options: Mapping[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{option} = {value}\n" for option, value in options.items())


def _client(process: "subprocess.Popen[bytes]", folder: Path, port: int) -> httpx.Client:
    place = folder / "cv_ca"
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            context = ssl.create_default_context(cafile=str(place / "cacert.crt"))
            context.check_hostname = False
            context.load_cert_chain(place / "client-cert.crt", place / "client-private.pem")
            client = httpx.Client(
                base_url=f"https://127.0.0.1:{port}", verify=context, trust_env=False, timeout=PATIENCE
            )
            version = client.get("/version").json()["results"]["current_version"]
        except (OSError, httpx.TransportError):
            time.sleep(0.2)
            continue
        client.base_url = httpx.URL(f"https://127.0.0.1:{port}/v{_second(version)}/")
        return client
    raise SystemExit(f"Keylime's verifier did not start:\n{(folder / 'log').read_text()[-3000:]}")


def _second(version: str) -> str:
    """The API of agents that are polled is version 2."""
    return version if version.startswith("2") else "2.5"


def children(pid: int) -> list[int]:
    """Processes that this one has started, and theirs."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone meanwhile
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def cpu_with_children(pid: int) -> float:
    """CPU seconds of a process and of all that it has started."""
    return cpu_of(pid) + sum(map(cpu_of, children(pid)))


def registration(agents: Agents, port: int, *, named: str, text: str) -> Mapping[str, object]:
    """What registers an agent; text: the policy, or nothing where it is known by its name."""
    return {
        "v": None,
        "cloudagent_ip": "127.0.0.1",
        "cloudagent_port": port,
        "tpm_policy": json.dumps({"mask": MASK}),
        "metadata": "{}",
        "ima_sign_verification_keys": "",
        "revocation_key": "",
        "accept_tpm_hash_algs": HASH_ALGS,
        "accept_tpm_encryption_algs": ENC_ALGS,
        "accept_tpm_signing_algs": SIGN_ALGS,
        "supported_version": "2.2",
        "ak_tpm": base64.b64encode(agents.agents[port].signer.public()).decode(),
        "mtls_cert": "disabled",
        "runtime_policy_name": named,
        "runtime_policy": base64.b64encode(text.encode()).decode(),
        "runtime_policy_key": "",
        "mb_policy_name": "",
        "mb_policy": "",
    }


async def theirs(interpreter: str, *, files: int, count: int, seconds: float) -> dict[str, float]:
    """Keylime's CPU seconds and rate of attestations with nothing new, against a policy of so many files."""
    with tempfile.TemporaryDirectory(prefix="bartizan-keylime-") as scratch:
        folder = Path(scratch)
        write_list(folder / "list", LIST)
        lines = (folder / "list" / "ascii").read_text().splitlines(keepends=True)
        agents = Agents(lines, bytes.fromhex((folder / "list" / "pcr10").read_text()))
        with keylime(interpreter, folder) as (pid, client):
            text = policy(lines, files)
            for number in range(count):
                uid = str(uuid.UUID(int=number + 1))
                body = registration(agents, await agents.add(uid), named="bench", text="" if number else text)
                answer = await asyncio.to_thread(client.post, f"agents/{uid}", json=body)
                if answer.status_code != 200:
                    raise SystemExit(f"Keylime refused an agent: {answer.text}")
            every = agents.agents.values()
            await _until(lambda: all(agent.answered > 2 for agent in every), folder)
            before, cpu, begun = sum(agent.answered for agent in every), cpu_with_children(pid), time.monotonic()
            await asyncio.sleep(seconds)
            done = sum(agent.answered for agent in every) - before
            cpu, passed = cpu_with_children(pid) - cpu, time.monotonic() - begun
            answers = [await asyncio.to_thread(client.get, f"agents/{agent.uid}") for agent in every]
        agents.close()
        if not done or any(one.json()["results"]["operational_state"] != GET_QUOTE for one in answers):
            raise SystemExit(f"Keylime did not go on attesting:\n{(folder / 'log').read_text()[-3000:]}")
        assert all(agent.whole == 1 for agent in every), "something was new"
    return {"cpu": cpu / done, "rate": done / passed}


async def _until(holds: Callable[[], bool], folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise SystemExit(f"Keylime's verifier does not come to its agents:\n{(folder / 'log').read_text()[-3000:]}")
        await asyncio.sleep(0.1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=300, help="of Bartizan")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    interpreter = os.environ.get(KEYLIME)
    if not interpreter:
        print(f"Keylime's verifier was not measured: {KEYLIME} names no Python that has it (bench/run.py says how)")
        return
    rows = []
    if not asked.json:
        print(ROW.format("attestation with nothing new", "Bartizan", "Keylime", "rate", "ratio"))
    for files in SIZES:
        their = asyncio.run(theirs(interpreter, files=files, count=asked.agents, seconds=asked.seconds))
        ours = attested(files, count=asked.nodes, rounds=9, connections=16)
        ratio = their["cpu"] / ours["cpu"]
        rows.append({"files": files, "bartizan": ours, "keylime": their, "ratio": ratio})
        if not asked.json:
            cells = (f"{ours['cpu'] * 1e6:,.0f} µs", f"{their['cpu'] * 1e6:,.0f} µs", f"{their['rate']:,.1f}/s")
            print(ROW.format(f"{files:,} files known", *cells, f"{ratio:,.0f}x"), flush=True)
    if asked.json:
        print(json.dumps({"unit": "CPU seconds of the verifying process", "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
