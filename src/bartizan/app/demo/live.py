"""The second half of the demonstration: the service with live agents, an attack, recovery, and failures on purpose."""

import io
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bartizan.app.demo.ending import ending_cleanly
from bartizan.app.demo.host import Host, LiveAgent, agent_for
from bartizan.app.demo.recordings import recorded
from bartizan.app.demo.story import Said
from bartizan.app.demo.verifier_process import VerifierProcess, run_verifier
from bartizan.app.learn_reference import propose_from
from bartizan.connectors.service.address import Reach
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.data_folder import TOKEN_FILES, read_token
from bartizan.connectors.service.documents import Alarm, JoinTokenMade, Node, NodeFindings, Reference
from bartizan.connectors.swtpm.manufacture import Factory, manufacture, open_factory
from bartizan.connectors.swtpm.process import run_tpm
from bartizan.errors import ConnectorError
from bartizan.formats.reference_file import encode_reference
from bartizan.model.node import Role

FLEET: Mapping[str, str] = {"compute-1": "compute", "compute-2": "compute", "controller-1": "controller"}
GOOD, VICTIM, SILENT = "compute-1", "compute-2", "controller-1"
PERIOD, LATE, EXPIRED = 1, 3, 8
"""Seconds, so that minutes of a real fleet pass in moments."""
PAUSED = 5.0
"""Seconds that the service stands still."""
PATIENCE = 60.0
"""Seconds for a scene to come out as it must."""
LOOK = 0.2
KNOWN_CODE, RECOGNISED = 4, 3
ROOTKIT = b"/root/.x/rootkit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the fleet looks like after something happened. as_expected: it came out as it must within `seconds`."""

    name: str
    what: str
    nodes: tuple[Node, ...]
    sentence: str
    seconds: float
    as_expected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The service while it stays up: where to look."""

    url: str
    data: Path


@dataclass(slots=True, kw_only=True)
class Stage:
    """The running fleet and who asks about it."""

    folder: Path
    verifier: VerifierProcess
    hosts: dict[str, Host]
    agents: dict[str, LiveAgent]

    def client(self, role: Role) -> ServiceClient:
        """A way to the service for the account of this role."""
        token = read_token(self.verifier.data / TOKEN_FILES[role])
        return ServiceClient(Reach(url=self.verifier.url, pin=self.verifier.pin, token=token))

    def nodes(self) -> tuple[Node, ...]:
        """The fleet as the service sees it."""
        with self.client(Role.OPERATOR) as client:
            return tuple(client.items("/v1/nodes", Node))

    def scene(
        self, name: str, what: str, holds: Callable[[Mapping[str, Node]], bool], *, sentence: Callable[[], str]
    ) -> Scene:
        """Wait until the fleet is as it must be, and show it."""
        begun, tick = time.monotonic(), threading.Event()
        while True:
            try:
                seen = self.nodes()
            except ConnectorError:
                seen = ()
            came = holds({node.name: node for node in seen})
            passed = time.monotonic() - begun
            if came or passed > PATIENCE:
                said = sentence() if came else "it did not come out like this"
                return Scene(name=name, what=what, nodes=seen, sentence=said, seconds=passed, as_expected=came)
            tick.wait(LOOK)


def play_live(*, stay: Callable[[Standing], None] | None = None) -> Iterator[Said | Scene]:
    """The service's story, scene by scene; stay: what to do with the service before it ends.

    Raises:
        ConnectorError: swtpm is missing or fails, or the service does not start.
    """
    with ending_cleanly(), open_factory() as factory, ExitStack() as stack:
        yield Said(text="The service, with live agents", title=True)
        yield Said(
            text="`bartizan serve` runs on loopback; three machines with emulated TPMs enrol by one-time tokens and"
            f" attest every {PERIOD} s, each by an agent of its own."
        )
        stage = _build(factory, stack)
        yield from _first_hour(stage)
        yield from _attacked(stage)
        yield from _failures(stage)
        if stay is not None:
            stay(Standing(url=stage.verifier.url, data=stage.verifier.data))


def _build(factory: Factory, stack: ExitStack) -> Stage:
    folder, hosts = factory.folder, dict[str, Host]()
    for name, state in zip(FLEET, manufacture(factory, list(FLEET)), strict=True):
        host = Host(name=name, running=stack.enter_context(run_tpm(state)), root=folder / f"{name}-root")
        host.boot(recorded("good"))
        hosts[name] = host
    roots = folder / "roots"
    roots.mkdir()
    for certificate in (factory.root_certificate, factory.issuer_certificate):
        shutil.copy(certificate, roots)
    verifier = stack.enter_context(
        run_verifier(folder / "service", roots=roots, period=PERIOD, late=LATE, expired=EXPIRED)
    )
    stage = Stage(folder=folder, verifier=verifier, hosts=hosts, agents={})
    with stage.client(Role.OPERATOR) as client:
        for name, role in FLEET.items():
            made = client.send("POST", "/v1/join-tokens", JoinTokenMade, {"name": name, "role": role})
            agent = agent_for(
                hosts[name], url=verifier.url, pin=verifier.pin, role=role, token=made.token, folder=folder / name
            )
            stage.agents[name] = agent
            stack.callback(agent.stop)
            agent.start()
    return stage


def _first_hour(stage: Stage) -> Iterator[Scene]:
    """(1) Everybody comes in by itself; Reference Values lift the whole fleet without asking anybody."""
    yield stage.scene(
        "enrolled",
        "three tokens used, three TPMs proved",
        lambda seen: len(seen) == len(FLEET) and all(node.level >= 2 for node in seen.values()),  # noqa: PLR2004  2: consistent
        sentence=lambda: "level 2, consistent: nobody has said yet what a good machine measures",
    )
    _learn(stage)
    yield stage.scene(
        "recognised",
        f"{GOOD} is declared good, its Reference Values are proposed and approved",
        lambda seen: all(node.level == KNOWN_CODE for node in seen.values()),
        sentence=lambda: "level 4, known code: judged anew from what was kept, no machine was asked",
    )


def _learn(stage: Stage) -> None:
    folder = stage.folder / "evidence"
    with stage.client(Role.AUDITOR) as client:
        packed = client.content(f"/v1/nodes/{GOOD}/evidence", "application/zip")
    folder.mkdir()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            (folder / Path(name).name).write_bytes(archive.read(name))
    known = propose_from(folder, name="demo")
    with stage.client(Role.SECURITY_OFFICER) as client:
        proposed = client.upload("/v1/references", Reference, encode_reference(known), "application/json")
        path = f"/v1/references/{proposed.id}/approve"
        client.send("POST", path, Reference, {"reason": f"{GOOD} was set up by hand and looked at"})


def _attacked(stage: Stage) -> Iterator[Scene]:
    """(2) A rootkit at noon is still in the verdict at one; a reboot into a clean state heals it."""
    stage.hosts[VICTIM].run(ROOTKIT, b"the rootkit of 2016")
    yield stage.scene(
        "attack",
        f"a rootkit runs on {VICTIM}",
        lambda seen: seen[VICTIM].level == RECOGNISED if VICTIM in seen else False,
        sentence=lambda: _why(stage),
    )
    before = {node.name: node.attested for node in stage.nodes()}[VICTIM]
    yield stage.scene(
        "later",
        "it has ended and removed itself; three attestations later",
        lambda seen: VICTIM in seen and seen[VICTIM].attested >= before + 3 and seen[VICTIM].level == RECOGNISED,
        sentence=lambda: "still level 3: what ran stays in the verdict for the whole boot",
    )
    stage.hosts[VICTIM].boot(recorded("good"))
    yield stage.scene(
        "recovery",
        f"{VICTIM} is reinstalled and rebooted",
        lambda seen: VICTIM in seen and seen[VICTIM].level == KNOWN_CODE,
        sentence=lambda: "level 4 again: the TPM counted the reset, so all logs were asked for and judged anew",
    )


def _why(stage: Stage) -> str:
    with stage.client(Role.OPERATOR) as client:
        found = client.get(f"/v1/nodes/{VICTIM}/findings", NodeFindings)
    return next((item.why for item in found.items if ROOTKIT.decode() in item.why), "level 3")


def _failures(stage: Stage) -> Iterator[Scene]:
    """(3) Silence, a paused and a killed service: nothing is stopped for any of them, nothing is lost."""
    stage.agents[SILENT].stop()
    yield stage.scene(
        "silence",
        f"the agent of {SILENT} is killed",
        lambda seen: SILENT in seen and seen[SILENT].state == "late",
        sentence=lambda: "late, and nothing is stopped: its level is as it was last proved, only new grants would wait",
    )
    stage.agents[SILENT].start()
    stage.verifier.pause()
    threading.Event().wait(PAUSED)
    stage.verifier.resume()
    yield stage.scene(
        "paused Verifier",
        f"the service itself stands still for {PAUSED:.0f} s, as a suspended virtual machine does",
        lambda seen: len(seen) == len(FLEET) and all(node.state == "fresh" for node in seen.values()) and _away(stage),
        sentence=lambda: "one alarm about the service, none about machines; they came back by themselves",
    )
    before = {node.name: node.attested for node in stage.nodes()}
    stage.verifier.kill()
    stage.verifier.start()
    yield stage.scene(
        "killed Verifier",
        "the service is killed without warning and started again",
        lambda seen: all(name in seen and seen[name].attested > count for name, count in before.items()),
        sentence=lambda: "every machine goes on by itself where it was; no result that was answered is missing",
    )


def _away(stage: Stage) -> bool:
    with stage.client(Role.OPERATOR) as client:
        return any(alarm.kind == "away" for alarm in client.items("/v1/alarms", Alarm))
