"""What rules say of the requirements of others: mappings are whole, reports of a node and a fleet follow."""

import re
from pathlib import Path

import pytest

from bartizan.app.defaults import frameworks, posture_rules
from bartizan.appraise.posture.frameworks import load_frameworks
from bartizan.errors import PolicyError
from bartizan.model.posture import Framework
from tests.unit.cli_runner import Ran, run
from tests.unit.posture_hosts import tree
from tests.unit.postures import RUNNING, hardened, posture

SHAPES = {
    Framework.CIS: r"(?:RHEL 9|Debian 12|Docker 1\.2\.0,) \d+(?:\.\d+)*",
    Framework.STIG: r"RHEL-09-\d{6}",
    Framework.ANSSI: r"R\d{1,2}",
    Framework.ANUKET: r"sec\.(?:gen|sys|ci|wl|img|lcm)\.\d{3}",
    Framework.HSI: r"org\.fwupd\.hsi(?:\.[A-Za-z0-9]+)+",
    Framework.VECTOR: r"[a-z-]+",
}
HEAD = "".join(f'[[framework]]\nid = "{one.value}"\nname = "n"\nsource = "s"\n' for one in Framework)


@pytest.mark.parametrize("rule", posture_rules().values(), ids=lambda rule: rule.id)
def test_every_rule_answers_an_attack_vector_and_a_requirement_of_anuket(rule: object) -> None:
    found = posture_rules()[rule.id].frameworks  # type: ignore[attr-defined]  # parametrize gives it no type

    assert found[Framework.VECTOR]
    assert found[Framework.ANUKET]
    for framework, named in found.items():
        assert all(re.fullmatch(SHAPES[framework], one) for one in named), named
        assert len(set(named)) == len(named)


def test_what_a_reference_names_is_mapped() -> None:
    """A rule that cites a benchmark's item stands for that item."""
    for rule in posture_rules().values():
        cited = {ref.removeprefix("DISA STIG ") for ref in rule.references if ref.startswith("DISA STIG ")}
        assert cited == set(rule.frameworks.get(Framework.STIG, ())), rule.id


def test_the_four_vectors_of_the_first_generations_table_each_have_rules() -> None:
    named = {one for rule in posture_rules().values() for one in rule.frameworks[Framework.VECTOR]}

    assert {"modified-hardware", "foreign-hardware", "side-channel", "hypervisor-modification"} <= named


def test_requirements_stand_in_the_order_of_their_numbers() -> None:
    named = [one.id for one in frameworks()[Framework.ANSSI].requirements]

    assert named == sorted(named, key=lambda name: int(name[1:]))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no toml at all", "bad"),
        (HEAD + "surprise = 1\n", "surprise"),
        (HEAD.split("[[framework]]\n", 2)[0] + HEAD[len("[[framework]]") :].split("[[framework]]", 1)[0], "id"),
        (
            HEAD.replace('"anuket"\nname = "n"\n', '"anuket"\nname = "n"\nrequirement = [{ id = "x", text = "y" }]\n'),
            "anuket does not list",
        ),
    ],
)
def test_a_text_that_describes_no_frameworks_is_refused(text: str, why: str) -> None:
    with pytest.raises(PolicyError, match=why):
        load_frameworks(text, posture_rules(), source="bad.toml")


def test_a_framework_that_is_not_described_is_refused() -> None:
    text = HEAD.replace('[[framework]]\nid = "hsi"\nname = "n"\nsource = "s"\n', "")

    with pytest.raises(PolicyError, match="hsi is not described"):
        load_frameworks(text, posture_rules(), source="bad.toml")


def outcomes(ran: Ran, node: int = 0) -> dict[str, str]:
    return {row["id"]: row["outcome"] for row in ran.document["nodes"][node]["requirements"]}


def test_a_hardened_host_meets_every_requirement_that_is_looked_at(tmp_path: Path) -> None:
    ran = run("posture", "--root", tree("hardened_apparmor").write(tmp_path), "--report", "anuket", "--json")

    assert ran.code == 0
    assert set(outcomes(ran).values()) == {"met", "not looked at"}
    assert outcomes(ran)["sec.gen.010"] == "not looked at"
    assert outcomes(ran)["sec.sys.014"] == "met"


def test_a_broken_rule_fails_the_requirements_that_it_looks_at_and_no_other(tmp_path: Path) -> None:
    edit = {"files": {"/sys/kernel/mm/ksm/run": "1\n"}}
    root = tree("hardened_apparmor").change(edit).write(tmp_path)
    ran = run("posture", "--root", root, "--report", "anuket", "--json")

    assert ran.code == 1
    assert [name for name, outcome in outcomes(ran).items() if outcome == "not met"] == ["sec.ci.006"]
    [row] = [row for row in ran.document["nodes"][0]["requirements"] if row["id"] == "sec.ci.006"]
    assert row["open"] == ["KSM-001"]
    assert "✘ not met  sec.ci.006" in run("posture", "--root", root, "--report", "anuket").out
    assert run("posture", "--root", root, "--report", "stig").code == 0


def test_what_should_be_and_is_not_fails_nobody(tmp_path: Path) -> None:
    edit = {"files": {"/proc/43/attr/current": "unconfined\n"}}
    ran = run(
        "posture", "--root", tree("hardened_apparmor").change(edit).write(tmp_path), "--report", "anuket", "--json"
    )

    assert (ran.code, outcomes(ran)["sec.sys.014"]) == (0, "not met")


def test_what_is_not_known_is_not_met_and_not_failed(tmp_path: Path) -> None:
    edit = {"absent": ["/sys/kernel/mm/ksm", "/proc/42/ksm_stat"]}
    ran = run(
        "posture", "--root", tree("hardened_apparmor").change(edit).write(tmp_path), "--report", "vector", "--json"
    )

    assert (ran.code, outcomes(ran)["page-merging"]) == (0, "unknown")


@pytest.fixture
def fleet(tmp_path: Path) -> tuple[str, ...]:
    nodes = {"good": hardened(), "empty": posture(absent=RUNNING), "bad": posture(qemu='security_driver = "none"')}
    for name, raw in nodes.items():
        (tmp_path / f"{name}.json").write_bytes(raw)
    return tuple(word for name in nodes for word in ("--document", str(tmp_path / f"{name}.json")))


def test_a_fleet_is_counted_by_requirement(fleet: tuple[str, ...]) -> None:
    ran = run("posture", *fleet, "--report", "anuket", "--json")

    assert ran.code == 1
    assert [node["node"] for node in ran.document["nodes"]] == ["good", "empty", "bad"]
    assert ran.document["fleet"]["sec.sys.010"] == {"met": 2, "not met": 1}
    assert ran.document["fleet"]["sec.img.003"] == {"met": 2, "no subject": 1}
    assert ran.document["fleet"]["sec.wl.001"] == {"not looked at": 3}


def test_people_see_which_nodes_of_a_fleet_fail(fleet: tuple[str, ...]) -> None:
    shown = run("posture", *fleet, "--report", "anuket").out

    assert "3 nodes" in shown
    assert re.search(r"sec\.sys\.010 +2 +1 +0 +bad", shown)
    assert "No rule of the posture looks at: sec.gen.001" in shown


def test_a_document_is_judged_as_the_machine_that_sent_it(fleet: tuple[str, ...]) -> None:
    ran = run("posture", *fleet[:2], "--json")

    assert (ran.code, ran.document["status"]) == (0, "affirming")


@pytest.mark.parametrize(
    "words", [("--report", "anuket", "--fix-plan"), ("--report", "anuket", "--explain", "CPU-001")]
)
def test_two_questions_at_once_are_refused(words: tuple[str, ...]) -> None:
    assert run("posture", *words, "--json").code == 2


def test_several_documents_need_a_report(fleet: tuple[str, ...]) -> None:
    assert "several --document are for --report" in run("posture", *fleet, "--json").document["error"]["why"]


def test_two_nodes_of_one_name_are_refused(fleet: tuple[str, ...]) -> None:
    ran = run("posture", *fleet[:2], *fleet[:2], "--report", "anuket", "--json")

    assert "have one name" in ran.document["error"]["why"]
