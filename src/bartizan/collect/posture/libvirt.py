"""libvirt's settings for QEMU, wherever they lie: on the host itself or in a containerised control plane."""

from __future__ import annotations

from bartizan.collect.posture.host import Host, Reading

PLACES = ("/etc/libvirt/qemu.conf", "/etc/kolla/nova-libvirt/qemu.conf")


def read(host: Host) -> None:
    """Keep the lines that set something; comments and what may be secret (`…secret_uuid`) stay behind."""
    for path in PLACES:
        reading = host.glance(path)
        host.files[path] = reading if reading.value is None else Reading(path, _settings(reading.value))


def _settings(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#") and "secret" not in line)
