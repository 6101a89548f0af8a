"""Real processes in real control groups of this machine's kernel; left out where none can be made."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.service import cpu_of
from bench.shares import HIERARCHY, Group, group
from tests.integration.cluster import until

ROOT = Path(__file__).parents[2]
PERIODS = 50
SLACK = 0.02
"""Seconds of CPU that a process may have had when the kernel next looks, beyond its share."""
SPINS = "while True: pass"


@contextmanager
def started(program: str) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def ours() -> list[Path]:
    """All groups of benches that there are."""
    return [*HIERARCHY.glob("bartizan-*"), *HIERARCHY.glob("cpu/bartizan-*")]


def _members(held: Group) -> set[int]:
    return set(map(int, (held.folder / "cgroup.procs").read_text().split()))


def test_a_process_held_to_a_tenth_of_a_core_gets_no_more() -> None:
    with group("tenth") as held, started(SPINS) as process:
        held.hold(0.1)
        held.enter([process.pid])
        before, begun, used = held.throttling(), time.monotonic(), cpu_of(process.pid)

        until("it wants more", lambda: held.throttling().periods - before.periods > PERIODS)

        used, passed = cpu_of(process.pid) - used, time.monotonic() - begun
        assert used <= 0.1 * passed + SLACK
        assert held.throttling().throttled > before.throttled
        asked = held.version.limit(0.1)
        assert {name: (held.folder / name).read_text().strip() for name in asked} == asked


def test_who_is_held_no_more_is_throttled_no_more() -> None:
    with group("lifted") as held, started(SPINS) as process:
        held.hold(0.1)
        held.enter([process.pid])
        until("it is throttled", lambda: held.throttling().throttled > 0)

        held.hold(None)

        before = held.throttling()
        used = cpu_of(process.pid)
        until("it runs on", lambda: cpu_of(process.pid) - used > 0.2)
        assert held.throttling().throttled - before.throttled <= 1


def test_a_process_that_has_ended_is_no_fault() -> None:
    with group("ended") as held, started(SPINS) as process:
        process.kill()
        process.wait()
        held.enter([process.pid])
        assert _members(held) == set()


def test_a_group_is_gone_in_the_end_whatever_happened() -> None:
    made: list[Group] = []

    def interrupted() -> None:
        with group("interrupted") as held, started(SPINS) as process:
            held.enter([process.pid])
            made.append(held)
            assert _members(held) == {process.pid}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert made
    assert not made[0].folder.exists()


def test_a_bench_that_is_interrupted_leaves_no_group_and_no_word() -> None:
    command = [sys.executable, "-m", "bench.replicas", "--share", "0.2", "--database-share", "0.2", "--replicas", "1"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as bench:
        mine = f"*-{bench.pid}"
        until("the Verifier's group is there", lambda: len([one for one in ours() if one.match(mine)]) == 2)

        bench.send_signal(signal.SIGINT)

        assert bench.communicate()[1] == ""
    assert bench.returncode == 130
    assert not [one for one in ours() if one.match(mine)]
