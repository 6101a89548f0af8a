"""gpgv on Debian's own signatures, as they were in its archive: with the right keyring, and with another one."""

from pathlib import Path

import pytest

from bartizan.connectors.repository import gpgv
from bartizan.connectors.repository.gpgv import run_gpgv
from bartizan.errors import ConnectorError
from bartizan.formats.clearsigned import decode_clearsigned
from bartizan.formats.gpgv_status import decode_gpgv_status

DEBIAN = Path(__file__).parents[1] / "vectors" / "debian"


@pytest.mark.parametrize(
    ("suite", "keyring", "good"),
    [
        ("bookworm", "bookworm", "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8"),
        ("bookworm-security", "bookworm-security", "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0"),
        ("bookworm", "bookworm-security", None),
    ],
)
def test_a_release_of_debian_is_vouched_for_by_its_own_keyring_alone(
    suite: str, keyring: str, good: str | None
) -> None:
    signed = (DEBIAN / f"InRelease.{suite}").read_bytes()
    vouched = run_gpgv(signed, DEBIAN / f"keyring.{keyring}.gpg")
    found = [signature.fingerprint for signature in decode_gpgv_status(vouched.status) if signature.good]

    assert found == ([good] if good else [])
    assert vouched.text == decode_clearsigned(signed)


def test_text_without_a_signature_gets_no_word_from_gpgv() -> None:
    vouched = run_gpgv(b"hello\n", DEBIAN / "keyring.bookworm.gpg")

    assert decode_gpgv_status(vouched.status) == ()
    assert vouched.text == b""


def test_a_gpgv_that_hangs_or_says_nothing_is_an_outside_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "gpgv"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(gpgv, "SECONDS", 0.2)
    for script, why in (("exec sleep 60", "did not answer"), ("exit 0", "said nothing")):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        with pytest.raises(ConnectorError, match=why):
            run_gpgv(b"x", DEBIAN / "keyring.bookworm.gpg")
    program.write_text("#!/nonexistent/interpreter\n")
    with pytest.raises(ConnectorError, match="cannot be run"):
        run_gpgv(b"x", DEBIAN / "keyring.bookworm.gpg")
