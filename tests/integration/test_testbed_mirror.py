"""The testbed's mirror holds a package as it came, signed by the operator's key alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from bartizan.app.reference_folder import read_reference
from bartizan.errors import ConnectorError
from testbed.image import Image, read_recipe
from testbed.mirror import OwnMirror, cached_package, own_mirror
from tests.simulator.debian_repository import Package
from tests.unit.cli_runner import Ran, run

KERNEL = Package(name="linux-image-1-amd64", version="1.2-3", files={"/boot/vmlinuz-1-amd64": b"a kernel"})


def downloaded(folder: Path) -> Path:
    folder.mkdir()
    deb = folder / f"{KERNEL.name}_{KERNEL.version}_amd64.deb"
    deb.write_bytes(KERNEL.deb())
    return deb


def imported(mirror: OwnMirror, folder: Path) -> Ran:
    """The command that the scenario runs."""
    installed = folder / "installed"
    installed.write_text(f"{mirror.package}\n")
    where = ["--mirror", mirror.folder, "--suite", mirror.suite, "--keyring", mirror.keyring]
    return run(
        "reference",
        "import",
        "deb",
        *where,
        "--store",
        folder / "db",
        "--installed",
        installed,
        "--out",
        folder / "out",
    )


def test_the_package_is_imported_from_it(tmp_path: Path) -> None:
    with own_mirror(downloaded(tmp_path / "cache"), tmp_path / "mirror") as mirror:
        ran = imported(mirror, tmp_path)

    assert ran.code == 0
    (file,) = read_reference(tmp_path / "out").files
    assert (file.path, file.origin and file.origin.package) == (b"/boot/vmlinuz-1-amd64", KERNEL.name)


def test_a_package_that_was_changed_in_it_is_not(tmp_path: Path) -> None:
    with own_mirror(downloaded(tmp_path / "cache"), tmp_path / "mirror") as mirror:
        changed = replace(KERNEL, files={"/boot/vmlinuz-1-amd64": b"not a kernel"})
        (mirror.folder / KERNEL.filename).write_bytes(changed.deb())

        assert imported(mirror, tmp_path).code == 1


def test_what_is_no_package_is_an_outside_failure(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"no package")
    with pytest.raises(ConnectorError, match=r"x\.deb cannot be read"):
        own_mirror(tmp_path / "x.deb", tmp_path / "mirror").__enter__()


def test_the_package_of_an_images_kernel_is_found_beside_the_image(tmp_path: Path) -> None:
    image = Image(folder=tmp_path / "image-1", recipe=read_recipe(), kernel=KERNEL.name, previous="none")
    with pytest.raises(ConnectorError, match="is not in"):
        cached_package(image)
    deb = downloaded(tmp_path / "packages-1")

    assert cached_package(image) == deb
