"""The kernel of this machine and a real database of Open vSwitch, asked as the agent asks them."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bartizan.collect.posture.core_scheduling import cookies
from bartizan.collect.posture.host import Host
from bartizan.collect.posture.netlink import link_index, virtual_functions
from bartizan.collect.posture.switch import asked

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
SETTINGS = ("other_config:dpdk-init=true", "other_config:vhost-iommu-support=true", "other_config:system-secret=x")


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


@contextmanager
def database(folder: Path) -> Iterator[Path]:
    """A database of Open vSwitch without a switch behind it; yields its socket."""
    server = shutil.which("ovsdb-server", path=f"{os.environ['PATH']}:/usr/sbin")
    assert server is not None
    run("ovsdb-tool", "create", folder / "conf.db", SCHEMA)
    options = [f"--remote=punix:{folder / 'db.sock'}", f"--unixctl={folder / 'ctl'}", "--log-file=/dev/null"]
    with subprocess.Popen([server, folder / "conf.db", *options], stderr=subprocess.DEVNULL) as process:
        try:
            run("ovs-vsctl", f"--db=unix:{folder / 'db.sock'}", "--retry", "--no-wait", "init")
            yield folder / "db.sock"
        finally:
            process.terminate()


def test_a_real_database_tells_of_dpdk_and_of_vhost_user_ports_and_nothing_else(tmp_path: Path) -> None:
    with database(tmp_path) as path:
        switch = ("ovs-vsctl", f"--db=unix:{path}", "--no-wait")
        assert asked(str(path)).value == ""
        run(*switch, "set", "Open_vSwitch", ".", *SETTINGS)
        run(*switch, "add-br", "br0")
        for name in ("dpdkvhostuser", "dpdkvhostuserclient", "internal"):
            run(*switch, "add-port", "br0", f"p-{name}", "--", "set", "Interface", f"p-{name}", f"type={name}")
        reading = asked(str(path))

    assert (reading.value or "").splitlines() == [
        "other_config dpdk-init true",
        "other_config vhost-iommu-support true",
        "port dpdkvhostuser p-dpdkvhostuser",
        "port dpdkvhostuserclient p-dpdkvhostuserclient",
    ]
    assert asked(str(path)).error == "absent"


@pytest.mark.parametrize("said", [b"", b"no json", b'{"id": 0, "result": null}', b"[]" * 9])
def test_whoever_does_not_speak_as_a_database_does_is_not_believed(said: bytes, tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "db.sock"))
    server.listen()

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)

    thread = threading.Thread(target=answer)
    thread.start()
    reading = asked(str(tmp_path / "db.sock"))
    thread.join()
    server.close()

    assert (reading.value, reading.error) == (None, "failed")


def test_the_kernel_answers_for_the_loopback_which_has_no_virtual_functions() -> None:
    index = link_index("lo")

    assert index is not None
    assert virtual_functions(index) == ""
    assert virtual_functions(2**31 - 1) is None
    assert link_index("no-such-link") is None


def test_cookies_are_those_of_every_thread_or_none_at_all() -> None:
    found = cookies(Host(), os.getpid())

    assert found is None or all(len(one) == len("0123456789abcdef") for one in found)
    assert cookies(Host(), 2**22) is None
