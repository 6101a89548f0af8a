"""The commands in process: what they say, and the exit status they end with."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bartizan.agent import __main__ as program
from bartizan.agent import commands, halves
from bartizan.agent.collector import Collector
from bartizan.agent.errors import CollectError, NoAnswer, OtherHalfGone, Refused, Unusable
from bartizan.agent.halves import Ended, Setting
from bartizan.agent.messages import Evidence
from bartizan.agent.privilege import User
from bartizan.agent.state import NODE, Node, Progress, Store
from bartizan.agent.transport import Reply
from tests.unit.agent_parts import IDENTITY, Scripted, error, given, judged, reply
from tests.unit.ima_lists import ng
from tests.unit.test_agent_loop import ENROLLED, OPENED

URL = "http://127.0.0.1:1"
ENROL = ["enrol", "--service", URL, "--name", "compute-1"]
ATTEST = bytes.fromhex("ff5443478018") + b"\0\0" + b"\0\4data" + bytes(8) + b"\0\0\0\7\0\0\0\1\1" + bytes(8)
EVIDENCE = Evidence(
    *[ATTEST + bytes(4) + b"\0\0", b"signature", {11: bytes(64), 0x99: b"odd"}],
    boot={"boot_log": b"log", "command_line": b"quiet\n", "other_boot_logs": [b"x"]},
    ima={"first": 3, "entries": ng(b"/bin/ls").binary() + b"junk"},
    posture=b'{"files":[],"folders":[],"nodes":[],"workloads":[1]}',
    notes=("noted",),
)


class Console:
    """The program with a scripted service and collector in the place of the other half."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.script = Scripted()
        self.store = Store(folder / "network")
        self.store.prepare()
        self.slept: list[float] = []
        monkeypatch.delenv("BARTIZAN_TOKEN", raising=False)
        monkeypatch.setattr(commands, "with_collector", self._with_collector)
        monkeypatch.setattr(commands, "HttpService", lambda *_: self.script)
        monkeypatch.setattr(commands, "_sleep", self.slept.append)

    def _with_collector(self, _setting: Setting, work: Callable[[Collector, Store], int]) -> int:
        return work(self.script, self.store)

    def __call__(self, *arguments: str) -> int:
        return program.main([arguments[0], "--state", str(self.folder), *arguments[1:]])

    def enrolled(self) -> None:
        self.store.save_node(Node(URL, None, "compute-1", "compute", "n-1"))

    def answers(self, *answers: Reply | Exception) -> None:
        self.script.answers += answers


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    return Console(tmp_path, monkeypatch)


Capture = pytest.CaptureFixture[str]


def test_enrol_says_the_node(console: Console, capsys: Capture) -> None:
    console.answers(reply(200, OPENED), reply(200, ENROLLED))

    assert console(*ENROL) == 0
    assert "Enrolled as node n-1" in capsys.readouterr().out
    node = console.store.load_node()
    assert node is not None
    assert node.node == "n-1"


def test_a_token_comes_from_a_file_the_environment_or_standard_input(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n", "ascii")
    for options, token in ((["--token-file", str(file)], "from-file"), ([], "from-env"), (["--token", "-"], "typed")):
        monkeypatch.setenv("BARTIZAN_TOKEN", "from-env")
        monkeypatch.setattr(sys, "stdin", io.StringIO("typed\n"))
        console.answers(reply(200, OPENED), reply(200, ENROLLED))
        assert console(*ENROL, "--again", *options) == 0
        assert console.script.requests[-2][1]["token"] == token


@pytest.mark.parametrize("token", ["a b\x07", "x" * 5000, "tök"])
def test_what_is_no_token_is_refused(
    console: Console, token: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("BARTIZAN_TOKEN", token)

    assert console(*ENROL) == 2
    assert "join token: 1 to 4096" in capsys.readouterr().err


def test_a_token_on_the_command_line_is_refused(console: Console, capsys: Capture) -> None:
    assert console(*ENROL, "--token", "secret") == 2
    assert "everybody can read" in capsys.readouterr().err


def test_a_token_file_that_is_not_there_is_refused(console: Console) -> None:
    assert console(*ENROL, "--token-file", "/none") == 2


@pytest.mark.parametrize("options", [["--service", "ftp://a"], ["--name", "a b"], ["--service", "https://a"]])
def test_what_no_service_would_take_is_refused_before_anything_is_done(console: Console, options: list[str]) -> None:
    assert console(*ENROL, *options) == 2
    assert not console.script.requests


def test_a_second_enrolment_needs_again(console: Console, capsys: Capture) -> None:
    console.enrolled()

    assert console(*ENROL) == 2
    assert "--again" in capsys.readouterr().err


def test_a_refused_enrolment_ends_with_1(console: Console, capsys: Capture) -> None:
    console.answers(error(403, "enrolment"))

    assert console(*ENROL) == 1
    assert "403 enrolment" in capsys.readouterr().err


def test_a_review_is_said_or_waited_for(console: Console, capsys: Capture) -> None:
    review = reply(202, {"review": "r-7", "why": "another board", "retry_in": 60})
    console.answers(review)
    assert console(*ENROL) == 0
    assert "r-7: another board" in capsys.readouterr().out


def test_a_service_that_is_away_is_given_up_after_a_while(
    console: Console, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(commands, "ENROL_PATIENCE", -1)
    console.answers(NoAnswer("refused"))

    assert console(*ENROL) == 3
    assert "no success within" in capsys.readouterr().err


def test_enrol_says_that_it_tries_again_and_for_how_long(console: Console, capsys: Capture) -> None:
    console.answers(NoAnswer("refused"), NoAnswer("refused"), reply(200, OPENED), reply(200, ENROLLED))

    assert console(*ENROL) == 0
    said = capsys.readouterr().err
    assert said == "bartizan-agent: refused\nbartizan-agent: not enrolled yet; trying again for up to 60 s\n"


def test_run_goes_on_until_it_is_ended(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    console.enrolled()
    console.answers(reply(200, given(due_in=0)), judged())

    def sleep(wait: float) -> None:
        if len(console.script.requests) == 2:
            raise Ended
        console.slept.append(wait)

    monkeypatch.setattr(commands, "_sleep", sleep)
    assert console("run") == 0
    assert console.script.paths == ["challenge", "evidence"]
    progress = console.store.load_progress()
    assert progress is not None
    assert progress.level == 4


def test_run_goes_on_with_an_enrolment_until_it_is_refused(console: Console) -> None:
    console.store.save_node(Node(URL, None, "compute-1", "compute"))
    console.answers(error(403, "enrolment"))

    assert console("run") == 1


@pytest.mark.parametrize("command", [["run"], ["once"], ["status"]])
def test_before_enrolment_there_is_nothing_to_do(console: Console, command: list[str], capsys: Capture) -> None:
    assert console(*command) == 2
    assert "First: bartizan-agent enrol" in capsys.readouterr().err


def test_once_needs_a_finished_enrolment(console: Console) -> None:
    console.store.save_node(Node(URL, None, "compute-1", "compute"))

    assert console("once") == 2


@pytest.mark.parametrize(("bad", "status"), [(False, 0), (True, 1)])
def test_once_says_the_result(console: Console, bad: bool, status: int, capsys: Capture) -> None:
    console.enrolled()
    console.answers(reply(200, given()), judged(contraindicated=bad))

    assert console("once") == status
    said = capsys.readouterr().out
    assert said.startswith("result: level 4, fresh")
    assert ("CONTRAINDICATED" in said) is bad
    assert "what keeps it from the next level: ima.unknown-file" in said


def test_once_in_json(console: Console, capsys: Capture) -> None:
    console.enrolled()
    console.answers(reply(200, given()), judged())

    assert console("once", "--json") == 0
    assert json.loads(capsys.readouterr().out)["level"] == 4


@pytest.mark.parametrize(
    ("answer", "status"), [(error(422, "verify"), 1), (error(404, "node"), 3), (NoAnswer("refused"), 3)]
)
def test_once_without_success(console: Console, answer: Reply | Exception, status: int) -> None:
    console.enrolled()
    console.answers(reply(200, given()), answer)

    assert console("once") == status


@pytest.mark.parametrize("enrolled", [False, True])
def test_show_says_what_would_be_sent(console: Console, enrolled: bool, capsys: Capture) -> None:
    if enrolled:
        console.enrolled()
    console.script.evidences = [EVIDENCE, EVIDENCE]
    assert console("once", "--show") == 0
    said = capsys.readouterr().out

    assert not console.script.requests
    for part in (
        "resets 7, restarts 1",
        "PCR sha256 #1",
        "PCR 0x0099 #0",
        "quiet",
        "1 entries from 3 on",
        "1 workloads",
    ):
        assert part in said
    assert console("once", "--show", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["evidence"]["posture"]["workloads"] == [1]
    assert document["enrolment"]["ek"] == IDENTITY.ek.hex()


def test_show_without_logs_or_posture(console: Console, capsys: Capture) -> None:
    console.script.evidences = [EVIDENCE._replace(boot=None, ima={"first": 0}, posture=None)]
    assert console("once", "--show") == 0

    assert "posture            none" in capsys.readouterr().out


STATES = [
    (
        Progress("waiting", next_due=4e9, last_success=1.0, level=4, trust="fresh"),
        0,
        ["waits until it is due", "next: in"],
    ),
    (Progress("waiting", next_due=1.0, level=3, contraindicated=True), 3, ["CONTRAINDICATED", "No agent seems to run"]),
    (Progress("backing-off", "asking", last_error="gone", last_error_at=1.0), 3, ["then goes on", "last error: 1970"]),
    (Progress("refused", last_error="no", last_error_at=1e300), 1, ["was refused"]),
    (Progress("in-review", review="r-7"), 0, ["in review: r-7"]),
    (None, 3, ["has not run yet"]),
]


@pytest.mark.parametrize(("progress", "status", "words"), STATES)
def test_status_says_how_it_goes(
    console: Console, progress: Progress | None, status: int, words: list[str], capsys: Capture
) -> None:
    console.enrolled()
    if progress is not None:
        console.store.save_progress(progress)

    assert console("status") == status
    said = capsys.readouterr().out
    assert all(word in said for word in words)
    assert console("status", "--json") == status
    assert json.loads(capsys.readouterr().out)["node"] == "n-1"


def test_status_never_says_the_token(console: Console, capsys: Capture) -> None:
    console.store.save_node(Node(URL, None, "compute-1", "compute", None, "secret"))
    console("status")
    console("status", "--json")

    assert "secret" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "status"),
    [
        (CollectError("x"), 3),
        (Unusable("x"), 2),
        (Refused("x"), 1),
        (KeyError("x"), 3),
        (OtherHalfGone("x"), 3),
        (Ended(), 0),
    ],
)
def test_every_end_has_its_status(
    console: Console, what: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(_arguments: object) -> int:
        raise what

    monkeypatch.setitem(program.COMMANDS, "status", fail)
    assert console("status") == status
    assert ("Traceback" in capsys.readouterr().err) is isinstance(what, KeyError)


def test_sleep_is_cut_so_that_a_resumed_machine_wakes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(commands.time, "sleep", slept.append)
    commands._sleep(1000)
    commands._sleep(3)

    assert slept == [commands.LONGEST_SLEEP, 3]


def setting(folder: Path, **fields: object) -> Setting:
    made = Setting(folder, folder, "tcp:127.0.0.1:1", None, None, None)
    return made._replace(**fields)  # type: ignore[arg-type]  # its own fields


def test_folders_are_made_for_the_halves(tmp_path: Path) -> None:
    state = tmp_path / "state"
    store = Store(state / "network")
    halves.prepare_for(User(store.folder.parent.parent.stat().st_uid, 0), state, store)
    made = halves.make_collector(setting(state))

    assert made
    assert {path.name for path in state.iterdir()} == {"network", "collector"}
    (tmp_path / "file").touch()
    with pytest.raises(Unusable, match="--state"):
        halves.prepare_for(User(0, 0), tmp_path / "file" / "state", store)


def test_the_node_file_is_named_where_it_is_damaged(console: Console, capsys: Capture) -> None:
    (console.store.folder / NODE).write_text("{", "ascii")

    assert console("status") == 2
    assert "network/node.json: damaged" in capsys.readouterr().err
