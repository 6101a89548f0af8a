"""docs/tutorial/first-fleet.md, command by command, against a real service and a node of software."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bartizan.connectors.service.data_folder import TOKEN_FILES
from tests.architecture.tree import ROOT
from tests.integration.client_side import Service, known, served
from tests.simulator.attester import Attester

PAGE = ROOT / "docs" / "tutorial" / "first-fleet.md"
SERVE = "bartizan serve --data ./bartizan"
EXPORT = "export BARTIZAN_DATA=$PWD/bartizan"
WAY_IN = "bartizan token list"
MAY_EXIT = {"bartizan result show": 1}
SAYS = {
    "bartizan account whoami": "operator",
    "bartizan token create": "BARTIZAN_TOKEN=bzj_",
    "bartizan token list": "compute-01",
    "bartizan node show": "kept from level 3",
    "bartizan reference service upload": "reference service approve 1",
    "bartizan reference service approve": "approved: compute-01 version 1",
    "bartizan reappraisal": "1 verdict changed",
    "bartizan result get": "4 known code",
    "bartizan result show": "signature holds",
    "bartizan audit": '"action":"reference-set.approved"',
}
"""What a newcomer sees after the commands of the page that begin so."""


def lines() -> list[str]:
    """The commands of the page, in its order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    data = tmp_path / "bartizan"
    data.mkdir()
    known(data, [Attester(name="compute-01")])
    with served(data) as found:
        yield found


def typed(line: str, folder: Path, variables: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """A line of the page, typed in this folder; variables: instead of the page's."""
    page = {"BARTIZAN_DATA": str(folder / "bartizan")}
    return subprocess.run(
        [sys.executable, "-m", *shlex.split(line)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100"} | (page if variables is None else variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_works_as_it_says(service: Service, tmp_path: Path) -> None:
    begin, export, *rest = lines()
    assert (begin, export) == (SERVE, EXPORT)
    seen: dict[str, list[str]] = {}
    for line in rest:
        ran = typed(line, tmp_path)
        command = " ".join(line.split()[:3])
        seen.setdefault(command, []).append(ran.stdout)

        assert ran.returncode == MAY_EXIT.get(command, 0), (line, ran.stdout, ran.stderr)
        expected = next((text for start, text in SAYS.items() if line.startswith(start)), "")
        assert expected in ran.stdout, (line, ran.stdout)
        if line == WAY_IN:
            service.enrol(Attester(name="compute-01"), None)
            service.attest("compute-01")

    empty, first, after = seen["bartizan node list"]
    assert "token create" in empty
    assert ("2 consistent" in first, "4 known code" in after) == (True, True)
    before, lifted = seen["bartizan gap"]
    assert "bartizan reference service upload ./reference" in before
    assert "reference service upload" not in lifted


def test_what_serve_leaves_is_its_owners_alone(service: Service) -> None:
    left = [service.data / name for name in ("client.json", *TOKEN_FILES.values())]

    assert all(path.stat().st_mode & 0o777 == 0o600 for path in left)


def test_a_second_start_makes_no_tokens(tmp_path: Path) -> None:
    data = tmp_path / "bartizan"
    with served(data):
        tokens = {path: path.read_text() for path in data.glob("*.token")}
    (data / "auditor.token").unlink()

    with served(data) as again:
        assert again.url in (data / "client.json").read_text()
        assert {path: path.read_text() for path in data.glob("*.token")} == {
            path: text for path, text in tokens.items() if path.name != "auditor.token"
        }


def test_another_key_gets_no_token(service: Service, tmp_path: Path) -> None:
    wrong = f"bartizan node list --url {service.url} --pin sha256:{'0' * 64} --token-file {service.data}/operator.token"
    right = wrong.replace("sha256:" + "0" * 64, str(service.pin))
    unpinned = f"bartizan node list --url {service.url}"

    answers = {
        name: typed(line, tmp_path, {}) for name, line in (("wrong", wrong), ("right", right), ("none", unpinned))
    }

    assert {name: ran.returncode for name, ran in answers.items()} == {"wrong": 3, "right": 0, "none": 3}
    assert "another key answers" in answers["wrong"].stderr
    assert "give its pin" in answers["none"].stderr
