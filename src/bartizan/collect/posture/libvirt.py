"""libvirt's settings for QEMU, as each running daemon sees them: on the host itself or in a container of its own."""

from __future__ import annotations

from bartizan.collect.posture.elsewhere import other_roots
from bartizan.collect.posture.host import Host, Reading

PLACE = "/etc/libvirt/qemu.conf"
DAEMONS = ("libvirtd", "virtqemud")


def read(host: Host) -> None:
    """Keep the lines that set something; comments and what may be secret (`…secret_uuid`) stay behind."""
    for path in (f"{root}{PLACE}" for root in ("", *other_roots(host, DAEMONS))):
        reading = host.glance(path)
        host.files[path] = reading if reading.value is None else Reading(path, _settings(reading.value))


def _settings(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#") and "secret" not in line)
