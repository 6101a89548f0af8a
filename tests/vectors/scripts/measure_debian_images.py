"""Measure the boot images of Debian packages: digests, signer, signature, SBAT; no program is kept.

    python measure_debian_images.py [--pesign PESIGN] [--sbverify SBVERIFY] images/debian.json PACKAGE.deb…

Every package is read as a stream by dpkg-deb. As a second opinion each Authenticode digest is computed by pesign too,
and each signature is listed by sbverify (both from Debian): where one disagrees, nothing is written.
"""

import argparse
import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bartizan.formats.boot_image import decode_boot_image
from bartizan.formats.pe import decode_pe
from bartizan.verify.authenticode import common_name

IMAGES = ("./boot/vmlinuz-", "./usr/lib/shim/shimx64.efi.signed", "./usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")


def images(package: Path) -> Iterator[tuple[str, bytes]]:
    """The boot images of a package, without unpacking the rest."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as running:
        raw = running.stdout.read() if running.stdout else b""
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() and member.name.startswith(IMAGES) else None
            if stream is not None:
                yield member.name.removeprefix("."), stream.read()


def field(package: Path, name: str) -> str:
    run = subprocess.run(["dpkg-deb", "--field", package, name], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def agreed(raw: bytes, *, pesign: str, sbverify: str) -> str:
    """The Authenticode digest by pesign; sbverify must list a signature."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        found = subprocess.run([pesign, "-h", "-i", file.name], check=True, capture_output=True, text=True).stdout
        subprocess.run([sbverify, "--list", file.name], check=True, capture_output=True)
    return found.split()[1]


def measured(package: Path, name: str, raw: bytes, tools: argparse.Namespace) -> dict[str, Any]:
    image = decode_boot_image(raw)
    digests = {alg.label: value.hex() for alg, value in image.authenticode.items()}
    second = agreed(raw, pesign=tools.pesign, sbverify=tools.sbverify)
    if second != digests["sha256"]:
        sys.exit(f"{name}: pesign has {second}")
    return {
        "package": field(package, "Package"),
        "version": field(package, "Version"),
        "deb_sha256": hashlib.sha256(package.read_bytes()).hexdigest(),
        "path": name,
        "size": len(raw),
        "release": image.release,
        "flat": {alg.label: value.hex() for alg, value in image.flat.items()},
        "authenticode": digests,
        "sbat": [[entry.component, entry.generation] for entry in image.sbat.entries] if image.sbat else None,
        "signers": [common_name(signature.certificates[0]) for signature in image.signatures],
        "signatures": [base64.b64encode(certificate.data).decode() for certificate in decode_pe(raw).certificates],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pesign", default="pesign")
    parser.add_argument("--sbverify", default="sbverify")
    parser.add_argument("out", type=Path)
    parser.add_argument("packages", nargs="+", type=Path)
    tools = parser.parse_args()
    rows = [measured(package, name, raw, tools) for package in tools.packages for name, raw in images(package)]
    tools.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
