"""What came of a run: a table for the console, a page with timelines, data for the page of the documentation."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.play import Played
from testbed.scenario import Expected, Scenario, read_scenarios

ROW = "{:<22} {:<32} {:<32} {:>8}  {}"
RECORD = Path(__file__).parent / "measured.json"
"""What came of each scenario when it was last played for the record; `docs/explanation/measured-boots.md` shows it."""
OPENING = """\
# Measured boots

What Bartizan says of real measured boots, attacked. Written by `make docs` from `testbed/measured.json`, which
`make testbed-all ARGS=--record` leaves; do not edit it here.

Each machine is QEMU without KVM, with OVMF (Secure Boot on, Microsoft's keys, SMM), a TPM of its own (swtpm; the
Verifier knows the CA of its EK certificate), Debian's signed shim, GRUB and kernel, IMA, and the agent as a service.
Its network ends at the Verifier, a true `bartizan serve`. It enrols with a join token by credential activation; then
something happens to it; then the next attestation that is accepted has to say so. Silence is judged when the node is
late, or has expired.

As in production: both halves of the agent as `scripts/build-agent` makes them, the collector at its socket, the network
half as a user of its own, the pinned key, the kernel's TPM driver and resource manager. Otherwise than in production:
busybox starts the two halves, and starts them again, so the fences of the systemd units and their AppArmor profile are
missing; the initramfs is our own; nothing but the agent runs.

"""
ENDS = """
## What these boots taught

- The agent's own attestation key was a file that root reads, so IMA measured it: after its first reboot every machine
  had a file that no Reference Value could know, and fell from level 4 to 3. The key is the target of a link now.
- An agent whose TPM was exchanged, or whose disk was copied, could not quote at all, and the Verifier saw nothing but
  silence. It quotes with a key of the TPM that is there now. The refusal says that another TPM answers, and which case
  it looks like: a cloned disk when the node's own TPM goes on attesting, a swapped or cleared one when that is silent.
- Debian's kernels do not carry the IMA list over a kexec (`CONFIG_IMA_KEXEC` is not set): the list begins anew, and
  PCR 10 goes on. A kernel that reads the same files in the same order even shows the same entries again: the level had
  stayed at 3, for the boot's own log still holds. A list that led to PCR 10 and leads there no more stops at level 1
  now, until the next reboot, unless it follows on what this boot has shown before: then both are one list.
- Under Secure Boot Debian's kernel denies kexec_load(2), the one that a kexec started does too: what was measured of a
  kexec cannot be replaced by what was not. `ima_policy=tcb` alone measures no command line of a kexec.
  Root loads the IMA policy in these boots, at a prompt, and the list looks as if an initramfs had: that one did is the
  word of whoever names the policy, and here nobody could give it.
- The kernel's record of SELinux's state stands in the IMA list as a buffer. It is no file: a machine that goes
  permissive is contraindicated by what the TPM vouches for and loses level 5, and keeps the levels below.
- On a busy host Linux may give up on its emulated timer and panic; the guests start with `no_timer_check`.

## Run it

`make testbed` plays the short set that CI plays, `make testbed-all` all of them. `python -m testbed.run NAME` plays one
with those that it goes on from; `--out DIR` keeps timelines and consoles. The image is built once, below
`~/.cache/bartizan/testbed` or where `BARTIZAN_TESTBED_CACHE` says, out of packages of Debian 12 that this machine's apt
vouches for.
"""


def wanted(expect: Expected) -> str:
    """What is expected, in a few words."""
    return f"level {expect.level}, {expect.state}" + (", contraindicated" if expect.contraindicated else "")


def table(done: Sequence[Played]) -> str:
    """Name, expected, got, time and whether it passed, with what is wrong below."""
    rows = [ROW.format("scenario", "expected", "got", "seconds", "")]
    for one in done:
        passed = "ok" if one.passed else "NOT AS EXPECTED"
        rows.append(ROW.format(one.scenario.name, wanted(one.scenario.expect), one.got, f"{one.seconds:.0f}", passed))
        rows += [f"    {what}" for what in one.wrong]
    return "\n".join(rows)


def page(done: Sequence[Played]) -> str:
    """The run's own page, as Markdown: timeline, verdict and console of each scenario."""
    parts = ["# A run of the testbed", "", "```", table(done), "```"]
    for one in done:
        parts += ["", f"## {one.scenario.name}", "", one.scenario.what, "", "| seconds | what |", "|---|---|"]
        parts += [f"| {at:.1f} | {_cell(text)} |" for at, text in one.events]
        parts += ["", f"Expected: {wanted(one.scenario.expect)}. Got: {one.got}.", ""]
        parts += [f"- not as expected: {_cell(what)}" for what in one.wrong]
        if one.verdict is not None:
            told = [finding for finding in one.verdict.findings if finding["tier"] != "affirming"]
            parts += [f"- `{finding['id']}` {finding['tier']}: {_cell(finding['why'])}" for finding in told]
        parts += ["", "```", one.console.replace("```", "'''"), "```"]
    return "\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _entry(one: Played) -> dict[str, Any]:
    verdict = one.verdict
    return {
        "name": one.scenario.name,
        "what": one.scenario.what,
        "expected": wanted(one.scenario.expect),
        "got": one.got,
        "passed": one.passed,
        "boots": one.boots,
        "seconds": round(one.seconds),
        "said": _said(one.scenario, one),
        "refusal": (verdict.refusal or "") if verdict is not None and one.scenario.expect.refusal else "",
    }


def _said(scenario: Scenario, one: Played) -> list[str]:
    """The findings that were looked for, as the Verifier words them."""
    found = one.verdict.findings if one.verdict is not None else ()
    every = [(sought, next((f for f in found if sought.fits(f)), None)) for sought in scenario.expect.findings]
    return [f"{f['id']} ({f['tier']}, {f['anchor']}): {f['why']}" for _, f in every if f is not None]


def record(done: Sequence[Played], versions: Mapping[str, str]) -> None:
    """Keep what came of these scenarios for the documentation, beside what is kept of others that there still are."""
    kept = json.loads(RECORD.read_text("utf-8"))["scenarios"] if RECORD.is_file() else []
    found = {one["name"]: one for one in kept} | {one.scenario.name: _entry(one) for one in done}
    names = [one.name for one in read_scenarios()]
    document = {"versions": dict(versions), "scenarios": [found[name] for name in names if name in found]}
    RECORD.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def measured_boots() -> str:
    """`docs/explanation/measured-boots.md`."""
    found = json.loads(RECORD.read_text("utf-8"))
    rows, boots = found["scenarios"], sum(one["boots"] for one in found["scenarios"])
    passed = sum(one["passed"] for one in rows)
    lines = ["| scenario | what happens | the Verifier says | seconds |", "|---|---|---|---|"]
    for one in rows:
        mark = "" if one["passed"] else f" (**{one['expected']} expected**)"
        lines.append(f"| {one['name']} | {_cell(one['what'])} | {one['got']}{mark} | {one['seconds']} |")
    seconds = sum(one["seconds"] for one in rows)
    lines += ["", f"{passed} of {len(rows)} as expected; {boots} boots in {seconds} seconds."]
    lines += ["", "With: " + "; ".join(f"{name} {version}" for name, version in found["versions"].items()) + "."]
    lines += ["", "## In the Verifier's words", ""]
    for one in rows:
        for said in [*one["said"], *([one["refusal"]] if one["refusal"] else [])]:
            lines.append(f"- **{one['name']}**: {_cell(said)}")
    return OPENING + "\n".join(lines) + "\n" + ENDS
