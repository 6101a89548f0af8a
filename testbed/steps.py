"""What is done to a machine from outside, step by step: power, disks, TPM, network, and what its people do."""

import base64
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bartizan.errors import ConnectorError
from testbed.fleet import Machine
from testbed.image import GUEST
from testbed.mirror import cached_package, own_mirror
from testbed.scenario import Start
from testbed.stage import Stage

KEXEC_POLICY = """name = "testbed"
sbat_minimum = {{ shim = 2, grub = 3 }}
posture = {{ profile = "baseline" }}
[[kexec]]
name = "testbed"
ima_policy = '''
{policy}'''
"""
LAUNCH_LOG = "launch.log"
FILES = "image"
"""The set of Reference Values of the image's own files."""
SHOW_LAUNCH_LOG = """mkdir /run/securityfs && mount -t securityfs securityfs /run/securityfs
mount -t tmpfs tmpfs /sys/kernel/security && cd /sys/kernel/security && mkdir slaunch integrity
ln -s integrity/ima ima
for folder in tpm0 integrity; do mkdir -p $folder; mount --bind /run/securityfs/$folder $folder; done
for file in lsm lockdown; do cp /run/securityfs/$file .; done
"""


def reboot(stage: Stage, machine: Machine) -> None:
    """Switch it off in order, and on again."""
    machine.shut_down()
    stage.mark(machine)
    stage.bring_up(machine)


def install(stage: Stage, machine: Machine, start: Start, console: str) -> None:
    """Another disk to start from, and a restart. console: what is said if it is not to come up."""
    machine.shut_down()
    stage.fleet.write_esp(machine, start)
    stage.tell("kernel, initramfs and command line are installed anew")
    if console:
        machine.switch_on().wait_until_said(console)
        stage.tell(f"the console says: {console}")
    else:
        stage.mark(machine)
        stage.bring_up(machine)


def kexec_hiding(stage: Stage, machine: Machine) -> None:
    """Run a program that nobody knows, and start another kernel at once, before anybody is told."""
    kexec(stage, machine, before="cp /usr/bin/id /root/last; printf 7 >> /root/last; /root/last; ")


def kexec(stage: Stage, machine: Machine, *, before: str = "") -> None:
    """Start the kernel of the image from the running one, without firmware or loader."""
    machine.running.console.say(f"{before}/usr/libexec/testbed/kexec start")
    machine.running.console.expect_restart()
    machine.running.wait_until_up()
    stage.tell("another kernel runs")
    stage.mark(machine)


def attested(stage: Stage, machine: Machine) -> None:
    """Wait until all that was measured so far is attested; the first may have been under way already."""
    stage.mark(machine)
    stage.next(machine)
    stage.next(machine)


def accept_kexec(stage: Stage, machine: Machine) -> None:
    """Put in force, for everybody, that a kexec counts where the guests' IMA policy measured it."""
    measuring = (GUEST / "ima-policy").read_text()
    stage.fleet.verifier.change_policy(KEXEC_POLICY.format(policy=measuring))
    stage.tell("a kexec is accepted where the IMA policy of the guests measured it")
    stage.mark(machine)


def swap_tpm(stage: Stage, machine: Machine) -> None:
    """Exchange its TPM while it is off."""
    machine.shut_down()
    stage.fleet.swap_tpm(machine)
    stage.tell("another TPM is in its place")
    stage.mark(machine)
    stage.bring_up(machine)


def suspend(stage: Stage, machine: Machine) -> None:
    """Suspend it to memory, and wake it up."""
    machine.running.suspend()
    if machine.running.console.run("dmesg | grep 'PM: suspend exit'").code:
        raise ConnectorError(f"{machine.name} was not suspended")
    stage.tell("suspended to memory, and woken up")
    stage.mark(machine)


def cut_network(stage: Stage, machine: Machine) -> None:
    """Pull the cable."""
    machine.running.monitor("set_link", name="net", up=False)
    stage.tell("the network is cut")


def launch(stage: Stage, machine: Machine) -> None:
    """A dynamic launch on the running guest; its log stays in the machine's folder."""
    tap = machine.running.tap
    if tap is None:
        raise ConnectorError(f"{machine.name} has no tap before its TPM")
    (machine.hardware.folder / LAUNCH_LOG).write_bytes(tap.launch())
    stage.tell("dynamic launch: PCR 17 to 22 went from ones to zeros, and were extended")
    stage.mark(machine)


def launch_log(stage: Stage, machine: Machine) -> None:
    """The launch's log, where a kernel with Secure Launch shows it: a file system over securityfs that has one."""
    log = base64.b64encode((machine.hardware.folder / LAUNCH_LOG).read_bytes()).decode()
    ran = machine.running.console.run(SHOW_LAUNCH_LOG + f"echo {log} | base64 -d > slaunch/eventlog")
    stage.tell(f"the launch's log is there ({ran.code})")
    stage.mark(machine)


def _evidence(stage: Stage, machine: Machine) -> Path:
    """The evidence of the verdict that stands, as a folder."""
    folder = machine.hardware.folder
    with zipfile.ZipFile(io.BytesIO(stage.fleet.verifier.evidence(machine.node))) as archive:
        archive.extractall(folder)
    return folder / machine.node


def _put_in_force(stage: Stage, machine: Machine, name: str, folder: Path) -> None:
    stage.fleet.sets[name] = stage.fleet.verifier.put_in_force(folder).id
    stage.mark(machine)


def declare_good(stage: Stage, machine: Machine) -> None:
    """Reference Values from this boot, in force for everybody; the first one's with the image's own files."""
    folder, image = machine.hardware.folder, stage.fleet.image
    name = f"{machine.name}-boot"
    bartizan("reference", "propose", _evidence(stage, machine), "--out", folder / "boot", "--name", name)
    _put_in_force(stage, machine, name, folder / "boot")
    if FILES not in stage.fleet.sets:
        loaders = [("--image", image.esp / "EFI/BOOT" / name) for name in ("BOOTX64.EFI", "grubx64.efi")]
        named = ["--disk", f"hd0,gpt1={image.esp}", *(word for pair in loaders for word in pair)]
        bartizan("reference", "import", "files", image.root, "/", *named, "--out", folder / FILES, "--name", FILES)
        _put_in_force(stage, machine, FILES, folder / FILES)
    stage.tell("declared good")


def predict(stage: Stage, machine: Machine, *further: str | Path) -> None:
    """The next boot's Reference Values from this boot and the update's files, before anything is installed."""
    image, out = stage.fleet.image, machine.hardware.folder / "next"
    update: list[str | Path] = ["--kernel", image.vmlinuz(image.kernel), "--initrd", image.initrd(image.kernel)]
    named = [*further, "--out", out, "--name", f"{machine.name}-next"]
    bartizan("reference", "predict", _evidence(stage, machine), *update, *named)
    _put_in_force(stage, machine, f"{machine.name}-next", out)
    stage.tell("the update's boot is predicted, and the prediction in force")


def predict_package(stage: Stage, machine: Machine) -> None:
    """The same from the new kernel's package, which is imported from a signed mirror and vouches for the kernel."""
    folder, name = machine.hardware.folder, f"{machine.name}-package"
    installed, out = folder / "installed", folder / "package"
    with own_mirror(cached_package(stage.fleet.image), folder / "mirror") as mirror:
        installed.write_text(f"{mirror.package}\n")
        where = ["--mirror", mirror.folder, "--suite", mirror.suite, "--keyring", mirror.keyring]
        kept = ["--store", folder / "packages.db", "--installed", installed, "--out", out, "--name", name]
        bartizan("reference", "import", "deb", *where, *kept)
    _put_in_force(stage, machine, name, out)
    stage.tell("the new kernel's package is imported from a signed mirror, and its files are in force")
    predict(stage, machine, "--packages", out)


def retire(stage: Stage, machine: Machine) -> None:
    """The boot that was declared good on this machine counts no more."""
    stage.fleet.verifier.change_reference(stage.fleet.sets[f"{machine.name}-boot"], "retire", "updated")
    stage.tell("the former boot's Reference Values are retired")


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


STEPS: Mapping[str, Callable[[Stage, Machine], None]] = {
    "reboot": reboot,
    "suspend": suspend,
    "kexec": kexec,
    "kexec-hiding": kexec_hiding,
    "attested": attested,
    "accept-kexec": accept_kexec,
    "swap-tpm": swap_tpm,
    "cut-network": cut_network,
    "launch": launch,
    "launch-log": launch_log,
    "declare-good": declare_good,
    "predict": predict,
    "predict-package": predict_package,
    "retire": retire,
}
"""By their names in the scenarios; `install` takes more and is not among them."""
