"""One scenario played: machine, attack, the next accepted attestation, and whether it says what the data say."""

import base64
import io
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bartizan.errors import BartizanError, ConnectorError
from testbed.fleet import Fleet, Machine
from testbed.scenario import Expected, Scenario, Start
from testbed.verifier import EXPIRED, PERIOD, Verdict

ATTEST_SECONDS = 120.0
"""Patience with a guest's next attestation: it takes a few seconds under emulation, more on a busy host."""
CONSOLE_LINES = 25
LAUNCH_LOG = "launch.log"
FILES = "image"
"""The set of Reference Values of the image's own files."""
SHOW_LAUNCH_LOG = """mkdir /run/securityfs && mount -t securityfs securityfs /run/securityfs
mount -t tmpfs tmpfs /sys/kernel/security && cd /sys/kernel/security && mkdir slaunch integrity
ln -s integrity/ima ima
for folder in tpm0 integrity; do mkdir -p $folder; mount --bind /run/securityfs/$folder $folder; done
for file in lsm lockdown; do cp /run/securityfs/$file .; done
"""


@dataclass(slots=True, kw_only=True)
class Played:
    """What came of a scenario. events: seconds since its beginning and what happened; wrong: what is not as expected."""

    scenario: Scenario
    wrong: list[str] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    verdict: Verdict | None = None
    seconds: float = 0.0
    boots: int = 0
    console: str = ""

    @property
    def passed(self) -> bool:
        """Everything was as expected."""
        return not self.wrong

    @property
    def got(self) -> str:
        """The verdict in a few words."""
        if self.verdict is None:
            return "no verdict"
        bad = ", contraindicated" if self.verdict.contraindicated else ""
        return f"level {self.verdict.level}, {self.verdict.state}{bad}"


@dataclass(slots=True, kw_only=True)
class Player:
    """Plays scenarios on a fleet. say: gets each line of progress."""

    fleet: Fleet
    say: Callable[[str], None]
    _begun: float = 0.0
    _played: Played | None = None
    _attested: int = 0

    def play(self, scenario: Scenario) -> Played:
        """One scenario from its beginning to its end; what fails outside is said in it."""
        self._begun = time.monotonic()
        played = self._played = Played(scenario=scenario)
        machine: Machine | None = None
        boots = 0
        try:
            machine = self._machine(scenario)
            boots = machine.boots
            self._bring_up(scenario, machine)
            for step in scenario.steps:
                if step.guest:
                    self._attack(machine, step.guest)
                else:
                    HOST_STEPS[step.host](self, machine)
            self._judge(scenario.expect, machine)
        except BartizanError as error:
            played.wrong.append(str(error))
        if machine is not None:
            played.boots = machine.boots - boots
            played.console = "\n".join(machine.running.said.splitlines()[-CONSOLE_LINES:]) if machine.guest else ""
        played.seconds = time.monotonic() - self._begun
        return played

    def _tell(self, text: str) -> None:
        at = time.monotonic() - self._begun
        if self._played is not None:
            self._played.events.append((at, text))
        self.say(f"  {at:6.1f} s  {text}")

    def _machine(self, scenario: Scenario) -> Machine:
        if scenario.on:
            found = self.fleet.machines[scenario.on]
            self._attested = self.fleet.verifier.attested(found.node)
            return found
        if scenario.clone_of:
            return self.fleet.clone(scenario.name, self.fleet.machines[scenario.clone_of])
        return self.fleet.make(scenario.name, scenario.start)

    def _bring_up(self, scenario: Scenario, machine: Machine) -> None:
        if machine.guest is None:
            machine.switch_on()
            self._tell("switched on")
            if scenario.expect.console and not scenario.enrols:
                machine.running.wait_until_said(scenario.expect.console)
                return
            machine.running.wait_until_up()
            self._tell("up")
        if scenario.enrols and not scenario.on:
            machine.enrol(self.fleet.verifier)
            self._tell("enrolled")
            self._attested = 0
            self._next(machine)

    def _next(self, machine: Machine) -> Verdict:
        """The next verdict after what was accepted until now."""
        verdict = self.fleet.verifier.wait_attested(machine.node, self._attested, ATTEST_SECONDS)
        self._attested = verdict.attested
        bad = ", contraindicated" if verdict.contraindicated else ""
        self._tell(f"attestation {verdict.attested} accepted: level {verdict.level}{bad}")
        return verdict

    def _attack(self, machine: Machine, script: str) -> None:
        """Run a script between two attestations: what is accepted meanwhile may have been collected before it."""
        self._next(machine)
        ran = machine.running.console.run(script)
        self._tell(f"attack ended with {ran.code}: {ran.said[:200]}")
        self._attested = self.fleet.verifier.attested(machine.node)

    def _judge(self, expect: Expected, machine: Machine) -> None:
        verdict = self._end(expect, machine)
        wrong = self._played.wrong if self._played else []
        self._played.verdict = verdict if self._played else None
        for what, wanted, found in (
            ("level", expect.level, verdict.level),
            ("state", expect.state, verdict.state),
            ("contraindicated", expect.contraindicated, verdict.contraindicated),
        ):
            if wanted != found:
                wrong.append(f"{what}: {wanted} expected, found {found}")
        wrong += [f"no finding {one}" for one in expect.findings if not any(map(one.fits, verdict.findings))]
        there = {finding["id"] for finding in verdict.findings if finding["tier"] != "affirming"}
        wrong += [f"a finding {one} that must not be" for one in expect.absent if one in there]

    def _end(self, expect: Expected, machine: Machine) -> Verdict:
        """The verdict that is to be held against what is expected."""
        verifier = self.fleet.verifier
        if expect.refusal:
            self._until(lambda: expect.refusal in (verifier.verdict(machine.node).refusal or ""), f"refused: {expect.refusal}")
            self._tell(f"refused: {verifier.verdict(machine.node).refusal}")
        if expect.state != "fresh":
            self._until(lambda: verifier.verdict(machine.node).state == expect.state, f"state {expect.state}")
            self._tell(f"the node is {expect.state}")
        if expect.silent or expect.refusal:
            return verifier.verdict(machine.node)
        return self._next(machine)

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + ATTEST_SECONDS + EXPIRED + PERIOD
        while not holds():
            if time.monotonic() > deadline:
                raise ConnectorError(f"in vain waited for: {what}")
            time.sleep(0.3)

    # What is done from outside.

    def _reboot(self, machine: Machine) -> None:
        machine.shut_down()
        self._on_again(machine)

    def _on_again(self, machine: Machine) -> None:
        self._attested = self.fleet.verifier.attested(machine.node)
        machine.switch_on()
        self._tell("switched on again")
        machine.running.wait_until_up()
        self._tell("up")

    def _kexec(self, machine: Machine) -> None:
        """Start the kernel of the image from the running one, without firmware or loader."""
        machine.running.console.say("kexec -e")
        machine.running.console.expect_restart()
        machine.running.wait_until_up()
        self._tell("another kernel runs")
        self._attested = self.fleet.verifier.attested(machine.node)

    def _swap_tpm(self, machine: Machine) -> None:
        machine.shut_down()
        self.fleet.swap_tpm(machine)
        self._tell("another TPM is in its place")
        self._on_again(machine)

    def _suspend(self, machine: Machine) -> None:
        machine.running.suspend()
        self._tell("suspended to memory, and woken up")
        self._attested = self.fleet.verifier.attested(machine.node)

    def _cut_network(self, machine: Machine) -> None:
        machine.running.monitor("set_link", name="net", up=False)
        self._tell("the network is cut")

    def _launch(self, machine: Machine) -> None:
        """A dynamic launch on the running guest; its log stays in the machine's folder."""
        tap = machine.running.tap
        if tap is None:
            raise ConnectorError(f"{machine.name} has no tap before its TPM")
        (machine.hardware.folder / LAUNCH_LOG).write_bytes(tap.launch())
        self._tell("dynamic launch: PCR 17 to 22 went from ones to zeros, and were extended")
        self._attested = self.fleet.verifier.attested(machine.node)

    def _launch_log(self, machine: Machine) -> None:
        """The launch's log, where a kernel with Secure Launch shows it: a file system over securityfs that has one."""
        log = base64.b64encode((machine.hardware.folder / LAUNCH_LOG).read_bytes()).decode()
        ran = machine.running.console.run(SHOW_LAUNCH_LOG + f"echo {log} | base64 -d > slaunch/eventlog")
        self._tell(f"the launch's log is there ({ran.code})")
        self._attested = self.fleet.verifier.attested(machine.node)

    def _evidence(self, machine: Machine) -> Path:
        """The evidence of the verdict that stands, as a folder."""
        folder = machine.hardware.folder
        with zipfile.ZipFile(io.BytesIO(self.fleet.verifier.evidence(machine.node))) as archive:
            archive.extractall(folder)
        return folder / machine.node

    def _put_in_force(self, machine: Machine, name: str, folder: Path) -> None:
        self.fleet.sets[name] = self.fleet.verifier.put_in_force(folder).id
        self._attested = self.fleet.verifier.attested(machine.node)

    def _declare_good(self, machine: Machine) -> None:
        """Reference Values from this boot, in force for everybody; the first one's with the image's own files."""
        folder, image = machine.hardware.folder, self.fleet.image
        name = f"{machine.name}-boot"
        bartizan("reference", "propose", self._evidence(machine), "--out", folder / "boot", "--name", name)
        self._put_in_force(machine, name, folder / "boot")
        if FILES not in self.fleet.sets:
            loaders = [("--image", image.esp / "EFI/BOOT" / name) for name in ("BOOTX64.EFI", "grubx64.efi")]
            named = ["--disk", f"hd0,gpt1={image.esp}", *(word for pair in loaders for word in pair)]
            bartizan("reference", "import", "files", image.root, "/", *named, "--out", folder / FILES, "--name", FILES)
            self._put_in_force(machine, FILES, folder / FILES)
        self._tell("declared good")

    def _predict(self, machine: Machine) -> None:
        """The next boot's Reference Values from this boot and the update's files, before anything is installed."""
        image, out = self.fleet.image, machine.hardware.folder / "next"
        update = ["--kernel", image.vmlinuz(image.kernel), "--initrd", image.initrd(image.kernel)]
        bartizan("reference", "predict", self._evidence(machine), *update, "--out", out, "--name", f"{machine.name}-next")
        self._put_in_force(machine, f"{machine.name}-next", out)
        self._tell("the update's boot is predicted, and the prediction in force")

    def _update(self, machine: Machine) -> None:
        machine.shut_down()
        self.fleet.write_esp(machine, Start())
        self._tell("the current kernel and its initramfs are installed")
        self._on_again(machine)

    def _roll_back(self, machine: Machine) -> None:
        machine.shut_down()
        self.fleet.write_esp(machine, Start(kernel="previous"))
        self._tell("the previous kernel and its initramfs are installed")
        self._on_again(machine)

    def _retire(self, machine: Machine) -> None:
        """The boot that was declared good on this machine counts no more."""
        self.fleet.verifier.change_reference(self.fleet.sets[f"{machine.name}-boot"], "retire", "updated")
        self._tell("the former boot's Reference Values are retired")


def bartizan(*arguments: str | Path) -> str:
    """What a command of Bartizan's prints.

    Raises:
        ConnectorError: it failed.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "bartizan", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise ConnectorError(f"bartizan {' '.join(map(str, arguments[:3]))} failed: {ran.stderr.strip()}")
    return ran.stdout


HOST_STEPS: dict[str, Callable[[Player, Machine], None]] = {
    "reboot": Player._reboot,
    "suspend": Player._suspend,
    "swap-tpm": Player._swap_tpm,
    "cut-network": Player._cut_network,
    "launch": Player._launch,
    "launch-log": Player._launch_log,
    "declare-good": Player._declare_good,
    "predict": Player._predict,
    "update": Player._update,
    "roll-back": Player._roll_back,
    "retire": Player._retire,
    "kexec": Player._kexec,
}
