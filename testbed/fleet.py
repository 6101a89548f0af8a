"""The machines of a run: made from the image as a scenario wants them, switched on and off, enrolled."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from bartizan.connectors.swtpm.manufacture import Factory, manufacture
from bartizan.errors import ConnectorError
from testbed.cpio import archive
from testbed.disks import append_to, copy_disk, make_esp
from testbed.image import CONFIG_PLACES, Image
from testbed.machine import VERIFIER, Guest, Hardware, switched_on
from testbed.scenario import Start
from testbed.verifier import Verifier

ROLE = "compute"
STATE = "/var/lib/bartizan-agent"
SOCKET = "/run/bartizan-agent.sock"
USER = "bartizan-agent"
ENROL_SECONDS = 180.0


@dataclass(slots=True, kw_only=True)
class Machine:
    """One machine and what it is called at the Verifier. boots: how often it was switched on."""

    name: str
    node: str
    hardware: Hardware
    boots: int = 0
    guest: Guest | None = None
    power: ExitStack = field(default_factory=ExitStack)

    @property
    def running(self) -> Guest:
        """The guest.

        Raises:
            ConnectorError: the machine is off.
        """
        if self.guest is None:
            raise ConnectorError(f"{self.name} is switched off")
        return self.guest

    def switch_on(self) -> Guest:
        """Press the button."""
        self.guest = self.power.enter_context(switched_on(self.hardware))
        self.boots += 1
        return self.guest

    def switch_off(self) -> None:
        """Pull the plug."""
        self.guest = None
        self.power.close()

    def shut_down(self) -> None:
        """Switch it off in order."""
        guest = self.running
        guest.console.say("sync; mount -o remount,ro /; poweroff -f")
        guest.wait_until_off()
        self.switch_off()

    def enrol(self, verifier: Verifier) -> None:
        """What a person does at the machine with a join token.

        Raises:
            ConnectorError: the agent or the service says no.
        """
        token = verifier.join_token(self.node, ROLE)
        script = f"BARTIZAN_TOKEN={token} bartizan-agent enrol --collector {SOCKET} --user {USER} "
        script += f"--service https://{VERIFIER}:8443 --pin {verifier.pin} --name {self.node} --role {ROLE} "
        ran = self.running.console.run(script + f"&& mkdir {STATE}/enrolled && sync", seconds=ENROL_SECONDS)
        if ran.code:
            raise ConnectorError(f"{self.name} does not enrol: {ran.said}")


@dataclass(slots=True, kw_only=True)
class Fleet:
    """Where machines are made.

    folder: of the run; roots: where the CAs of their TPMs go; sets: numbers of
    the Reference Values that are in force.
    """

    folder: Path
    image: Image
    factory: Factory
    roots: Path
    verifier: Verifier = field(init=False)
    machines: dict[str, Machine] = field(default_factory=dict)
    sets: dict[str, int] = field(default_factory=dict)

    def make_authority(self) -> None:
        """The CA that certifies the machines' TPMs, for the Verifier to know; it comes with the first TPM."""
        manufacture(self.factory, ["first"])
        for certificate in (self.factory.root_certificate, self.factory.issuer_certificate):
            shutil.copy(certificate, self.roots)

    def make(self, name: str, start: Start) -> Machine:
        """A new machine with a new TPM."""
        machine = self._assembled(name, node=name)
        hardware = machine.hardware
        hardware.reset_variables(secure_boot=start.secure_boot)
        machine.hardware = replace(hardware, devices=start.devices, tapped=start.tapped)
        self.write_esp(machine, start)
        copy_disk(self.image.root_disk, hardware.root)
        for path, more in start.offline.items():
            append_to(hardware.root, path, more.encode(), work=hardware.folder / "file")
        return machine

    def machine(self, name: str) -> Machine:
        """A machine that an earlier scenario made.

        Raises:
            ConnectorError: it did not come so far.
        """
        found = self.machines.get(name)
        if found is None or found.guest is None:
            raise ConnectorError(f"the machine of {name} does not run: that scenario did not come to its end")
        return found

    def clone(self, name: str, original: Machine) -> Machine:
        """Another machine, with a TPM of its own and a copy of a running machine's disks."""
        machine = self._assembled(name, node=original.node)
        original.running.console.run("sync")
        copy_disk(original.hardware.root, machine.hardware.root)
        copy_disk(original.hardware.esp, machine.hardware.esp)
        shutil.copy(original.hardware.variables, machine.hardware.variables)
        return machine

    def swap_tpm(self, machine: Machine) -> None:
        """Another TPM of the same maker in place of the machine's."""
        [state] = manufacture(self.factory, [f"{machine.name}-2"])
        machine.hardware = replace(machine.hardware, tpm=state)

    def _assembled(self, name: str, *, node: str) -> Machine:
        [tpm] = manufacture(self.factory, [name])
        folder = self.folder / name
        folder.mkdir()
        hardware = Hardware(
            folder=folder, tpm=tpm, esp=folder / "esp.img", root=folder / "root.img", verifier=self.verifier.port
        )
        made = Machine(name=name, node=node, hardware=hardware)
        self.machines[name] = made
        return made

    def write_esp(self, machine: Machine, start: Start) -> None:
        """The disk that the machine starts from."""
        if start == Start(
            secure_boot=start.secure_boot, offline=start.offline, tapped=start.tapped, devices=start.devices
        ):
            copy_disk(self.image.esp_disk, machine.hardware.esp)
            return
        folder = machine.hardware.folder / "esp"
        shutil.rmtree(folder, ignore_errors=True)
        if start.unified:
            (folder / "EFI/BOOT").mkdir(parents=True)
            self.image.unify(self.command_line(start), folder / "EFI/BOOT/BOOTX64.EFI")
            make_esp(folder, machine.hardware.esp, mebibytes=self.image.recipe.esp_mebibytes)
            return
        shutil.copytree(self.image.esp, folder)
        kernel = {"current": self.image.kernel, "previous": self.image.previous}[start.kernel]
        loaded = self.image.vmlinuz(kernel).read_bytes()
        (folder / "vmlinuz").write_bytes(loaded[:-1] + bytes([loaded[-1] ^ 1]) if start.tampered else loaded)
        initrd = self.image.initrd(kernel).read_bytes()
        more = archive({name: text.encode() for name, text in start.initramfs.items()}) if start.initramfs else b""
        (folder / "initrd.img").write_bytes(initrd + bytes(-len(initrd) % 4) + more)
        for place in CONFIG_PLACES:
            (folder / place).write_text(self.image.grub_config(self.command_line(start)))
        make_esp(folder, machine.hardware.esp, mebibytes=self.image.recipe.esp_mebibytes)
        shutil.rmtree(folder)

    def command_line(self, start: Start) -> str:
        """The kernel's command line as this machine has it."""
        kept = [word for word in self.image.recipe.command_line.split() if word not in start.without]
        return " ".join([*kept, *start.append.split()])

    def discard(self, machine: Machine) -> None:
        """Take a machine apart: its disks are not kept."""
        machine.switch_off()
        for path in (machine.hardware.root, machine.hardware.esp):
            path.unlink(missing_ok=True)
        self.machines.pop(machine.name, None)

    def switch_off(self) -> None:
        """Switch off whatever runs."""
        for machine in [*self.machines.values()]:
            machine.switch_off()
