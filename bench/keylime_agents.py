"""Keylime's agents as software, in pull mode: a loopback server that answers its verifier with true quotes.

Each has a P-256 attestation key and the same IMA list, sent whole once; afterwards nothing is new. It knows the wire
format alone, and nothing of Keylime's code.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from struct import pack
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.simulator.quotes import ECDSA, SHA256, Signer, bitmap, quote_of

BANK, SIZE = 0x000B, 32
IMA_PCR, DATA_PCR = 10, 16
MASK = f"0x{1 << IMA_PCR | 1 << DATA_PCR:x}"
ZEROS = bytes(SIZE)
BOOTED = 1_700_000_000
HASH_ALGS, SIGN_ALGS, ENC_ALGS = ("sha256",), ("ecdsa",), ("rsa",)
LISTS, SELECTIONS, EIGHT = 1, 16, 8
"""Of the form in which PCR values come beside a quote: tpm2-tools 4.0 and later, `files_save_pcr_values`."""


def _key_text() -> str:
    """The public key to which a payload would be encrypted; one for all, for none is sent."""
    key = rsa.generate_private_key(65537, 2048).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def values_beside(values: dict[int, bytes]) -> bytes:
    """PCR values as they come beside a quote: the selection, then lists of at most eight digests."""
    selections = [pack("<HB3sxx", BANK, 3, bitmap(tuple(values)))] + [bytes(8)] * (SELECTIONS - 1)
    ordered = [values[pcr] for pcr in sorted(values)]
    lists = [ordered[start : start + EIGHT] for start in range(0, len(ordered), EIGHT)]
    blocks = (
        pack("<I", len(part)) + b"".join(pack("<H64s", len(one), one) for one in part + [b""] * (EIGHT - len(part)))
        for part in lists
    )
    return pack("<I", LISTS) + b"".join(selections) + pack("<I", len(lists)) + b"".join(blocks)


@dataclass(slots=True)
class Agent:
    """One of them. answered: how many quotes it gave; whole: how many times the list from its start."""

    uid: str
    signer: Signer
    clock: int = 1000
    answered: int = 0
    whole: int = 0


@dataclass(slots=True)
class Agents:
    """All of them behind one port each would have in the field; told apart here by a port each. lines: the IMA list."""

    lines: Sequence[str]
    pcr10: bytes
    agents: dict[int, Agent] = field(default_factory=dict)
    key: str = field(default_factory=_key_text)
    _servers: list[asyncio.Server] = field(default_factory=list)

    async def add(self, uid: str) -> int:
        """One more agent; its port."""
        agent = Agent(uid, Signer(kind="p256", alg=ECDSA, hash_alg=SHA256, owner=uid))

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._talk(agent, reader, writer)

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        self.agents[port] = agent
        return port

    def close(self) -> None:
        """No more answers."""
        for server in self._servers:
            server.close()

    async def _talk(self, agent: Agent, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode()
            found = {"code": 200, "status": "Success", "results": self._results(agent, target)}
            body = json.dumps(found).encode()
            start = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(start.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the run ends in the middle of it
        finally:
            writer.close()

    def _results(self, agent: Agent, target: str) -> dict[str, object]:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        first = min(int(asked.get("ima_ml_entry", 0)), len(self.lines))
        found: dict[str, object] = {
            "quote": self._quote(agent, asked["nonce"].encode()),
            "hash_alg": HASH_ALGS[0],
            "enc_alg": ENC_ALGS[0],
            "sign_alg": SIGN_ALGS[0],
            "boottime": BOOTED,
            "ima_measurement_list": "".join(self.lines[first:]),
            "ima_measurement_list_entry": first,
        }
        agent.answered += 1
        agent.whole += not first
        return found if asked.get("partial") == "1" else found | {"pubkey": self.key}

    def _quote(self, agent: Agent, nonce: bytes) -> str:
        agent.clock += 1000
        data = hashlib.sha256(ZEROS + hashlib.sha256(self.key.encode()).digest()).digest()
        values = {IMA_PCR: self.pcr10, DATA_PCR: data}
        name = b"\0\x0b" + hashlib.sha256(agent.uid.encode()).digest()
        attest = replace(quote_of({BANK: values}, signer=name, extra=nonce), clock=agent.clock).encode()
        parts = (attest, agent.signer.sign(attest).encode(), values_beside(values))
        return "r" + ":".join(base64.b64encode(part).decode() for part in parts)
