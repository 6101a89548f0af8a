"""Backup while the service runs, restore elsewhere, and the fleet goes on; a changed backup is refused."""

import asyncio
import json
import re
import stat
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from bartizan.app.service.backup import restore_backup, take_backup
from bartizan.app.service.settings import Settings
from bartizan.errors import ConfigError, DecodeError
from tests.simulator.attester import Attester, Document
from tests.simulator.tpm_ca import NOW
from tests.unit.service_side import HandClock, side

ESCAPING = json.dumps(
    {
        "format": "bartizan-backup-1",
        "made_at": "",
        "version": "",
        "files": {"bartizan.db": "00", "keys/../../evil": "00"},
    }
).encode()


def settings(folder: Path) -> Settings:
    return Settings(data=str(folder))


async def fleet(folder: Path, clock: HandClock, nodes: list[Attester], copy: Path) -> list[Document]:
    """Nodes that have attested, a backup taken beside it, and one more attestation of each."""
    async with side(folder, clock=clock) as here:
        answers = [await here.attest(node, await here.enrol(node)) for node in nodes]
        take_backup(settings(folder), copy, now=NOW)
        here.service.signer.jwks(clock())
        return [await here.attest(node, answer["challenge"]) for node, answer in zip(nodes, answers, strict=True)]


@pytest.fixture
def copied(tmp_path: Path) -> tuple[Path, HandClock, list[Attester], list[Document]]:
    clock = HandClock()
    nodes = [Attester(name=f"n{number}", entries=100) for number in range(3)]
    answers = asyncio.run(fleet(tmp_path / "one", clock, nodes, tmp_path / "copy.tar"))
    return tmp_path / "copy.tar", clock, nodes, answers


def test_the_fleet_goes_on_against_a_restored_service_and_old_challenges_are_void(
    copied: tuple[Path, HandClock, list[Attester], list[Document]], tmp_path: Path
) -> None:
    copy, clock, nodes, answers = copied
    restore_backup(copy, settings(tmp_path / "two"))

    async def scene() -> None:
        async with side(tmp_path / "two", clock=clock) as here:
            for node, answer in zip(nodes, answers, strict=True):
                node.entries = 105
                status, refused = await here.call("evidence", node.evidence(answer["challenge"]))
                again = await here.call("evidence", node.evidence(refused["challenge"]))

                assert (status, refused["error"]["kind"]) == (409, "nonce")
                assert "before the keys were changed" in refused["error"]["why"]
                assert again[0] == 200
                assert again[1]["challenge"]["held"]["ima_entries"] == 105

    asyncio.run(scene())


def test_a_backup_and_what_it_restores_are_for_their_owner_alone(
    copied: tuple[Path, HandClock, list[Attester], list[Document]], tmp_path: Path
) -> None:
    restore_backup(copied[0], settings(tmp_path / "two"))
    files = [copied[0], *(path for path in (tmp_path / "two").rglob("*") if path.is_file())]

    assert len(files) > 2
    assert not [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077 and "-" not in path.suffix]


def test_nothing_is_overwritten(copied: tuple[Path, HandClock, list[Attester], list[Document]], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bartizan\.db, .*there already"):
        restore_backup(copied[0], settings(tmp_path / "one"))
    with pytest.raises(ConfigError, match="is there already"):
        take_backup(settings(tmp_path / "one"), copied[0], now=NOW)


@pytest.mark.parametrize("name", ["bartizan.db-wal", "bartizan.db-shm", "bartizan.db-journal", "keys/ear/1.pem"])
def test_nothing_is_restored_beside_what_is_left_of_another_service(
    copied: tuple[Path, HandClock, list[Attester], list[Document]], tmp_path: Path, name: str
) -> None:
    left = tmp_path / "two" / name
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left")

    with pytest.raises(ConfigError, match=f"{re.escape(str(left))}: there already"):
        restore_backup(copied[0], settings(tmp_path / "two"))

    assert [path for path in (tmp_path / "two").rglob("*") if path.is_file()] == [left]


def test_a_backup_that_was_refused_leaves_room_for_a_good_one(
    copied: tuple[Path, HandClock, list[Attester], list[Document]], tmp_path: Path
) -> None:
    bad = repacked(copied[0], tmp_path / "bad.tar", change="bartizan.db", content=b"something else")
    with pytest.raises(DecodeError):
        restore_backup(bad, settings(tmp_path / "two"))

    assert restore_backup(copied[0], settings(tmp_path / "two")).files


def repacked(source: Path, target: Path, *, change: str, content: bytes | None) -> Path:
    """The backup with one member's content changed, or without it."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            raw = stream.read()
            if member.name == change:
                if content is None:
                    continue
                raw = content
            member.size = len(raw)
            new.addfile(member, BytesIO(raw))
    return target


@pytest.mark.parametrize(
    ("change", "content", "why"),
    [
        ("bartizan.db", b"something else", "was changed or is damaged"),
        ("bartizan.db", None, "is missing"),
        ("manifest.json", b"{}", "manifest"),
        ("manifest.json", b'{"format": "bartizan-backup-9", "made_at": "", "version": "", "files": {}}', "format"),
        ("manifest.json", ESCAPING, "below keys/"),
    ],
)
def test_a_changed_backup_is_refused_and_leaves_no_database(
    copied: tuple[Path, HandClock, list[Attester], list[Document]],
    tmp_path: Path,
    change: str,
    content: bytes | None,
    why: str,
) -> None:
    bad = repacked(copied[0], tmp_path / "bad.tar", change=change, content=content)

    with pytest.raises(DecodeError, match=why):
        restore_backup(bad, settings(tmp_path / "two"))

    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "two" / "bartizan.db").exists()


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "junk"
    path.write_bytes(b"junk" * 1000)

    with pytest.raises(DecodeError, match="no tar file"):
        restore_backup(path, settings(tmp_path / "two"))
    with pytest.raises(ConfigError, match="cannot be read"):
        restore_backup(tmp_path / "missing", settings(tmp_path / "two"))
    with pytest.raises(ConfigError, match="no database there"):
        take_backup(settings(tmp_path / "two"), tmp_path / "copy", now=NOW)
