"""Emulated TPMs themselves: their starts and launches, their process, their factory."""

import errno
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from bartizan.collect.codes import INITIALIZE, TpmError
from bartizan.collect.marshal import SHA256
from bartizan.collect.templates import EK_RSA2048
from bartizan.collect.tpm import StartupType, Tpm
from bartizan.connectors.swtpm import manufacture as manufacturing
from bartizan.connectors.swtpm import process
from bartizan.connectors.swtpm.control import Control
from bartizan.connectors.swtpm.launch import Measurement, dynamic_launch, power_on
from bartizan.connectors.swtpm.manufacture import Factory, manufacture, open_factory
from bartizan.connectors.swtpm.process import RunningTpm, run_tpm
from bartizan.errors import ConnectorError
from bartizan.model.boot_log import EventType
from tests.integration.emulated import BANKS, KERNEL, clock, extended, start_value

# Starting up.


def test_pcr_0_starts_with_zero_after_startup_at_locality_0(tpm: Tpm) -> None:
    read = tpm.pcr_read({alg: [0, 16, 17, 23] for alg in BANKS})

    for alg in BANKS:
        ones = b"\xff" * alg.size
        assert read[alg] == {0: start_value(alg), 16: start_value(alg), 17: ones, 23: start_value(alg)}


def test_pcr_0_starts_with_three_after_startup_at_locality_3(running: RunningTpm, tpm: Tpm) -> None:
    power_on(running.control, tpm, locality=3)

    assert tpm.pcr_read({alg: [0] for alg in BANKS}) == {alg: {0: start_value(alg, 3)} for alg in BANKS}


def test_an_h_crtm_before_startup_is_extended_into_a_pcr_0_that_starts_with_four(running: RunningTpm, tpm: Tpm) -> None:
    power_on(running.control, tpm, h_crtm=b"first code")

    read = tpm.pcr_read({alg: [0] for alg in BANKS})
    assert read == {alg: {0: extended(alg, start_value(alg, 4), b"first code")} for alg in BANKS}


def test_a_second_startup_is_refused_in_words(tpm: Tpm) -> None:
    with pytest.raises(TpmError, match="TPM2_STARTUP: 0x100: the TPM was already started") as refused:
        tpm.startup()
    assert refused.value.is_about(INITIALIZE)


def test_each_power_on_counts_as_a_reset(running: RunningTpm, tpm: Tpm) -> None:
    before = clock(tpm)
    power_on(running.control, tpm)
    after = clock(tpm)

    assert (after.reset_count, after.restart_count) == (before.reset_count + 1, 0)


def test_a_resume_from_suspend_counts_as_a_restart_and_keeps_pcrs(running: RunningTpm, tpm: Tpm) -> None:
    tpm.pcr_extend(8, {SHA256: KERNEL})
    before, pcrs = clock(tpm), tpm.pcr_read({SHA256: [8]})
    tpm.shutdown(StartupType.STATE)
    running.control.reset()
    tpm.startup(StartupType.STATE)
    after = clock(tpm)

    assert (after.reset_count, after.restart_count) == (before.reset_count, before.restart_count + 1)
    assert tpm.pcr_read({SHA256: [8]}) == pcrs


def test_the_clock_is_safe_as_long_as_every_shutdown_is_orderly(factory: Factory) -> None:
    (state,) = manufacture(factory, ["clock"])
    with run_tpm(state) as running, running.connect() as tpm:
        power_on(running.control, tpm)
        tpm.shutdown()
        power_on(running.control, tpm)
        assert clock(tpm).safe
        power_on(running.control, tpm)
        assert not clock(tpm).safe


# Dynamic launch.

LAUNCH = (
    Measurement(locality=3, pcr=17, event_type=EventType.TXT_LCP_HASH, data=b"launch control policy"),
    Measurement(locality=3, pcr=18, event_type=EventType.TXT_MLE_HASH, data=b"launched environment"),
    Measurement(locality=2, pcr=17, event_type=EventType.TBOOT_MODULE, data=b"policy"),
    Measurement(locality=2, pcr=19, event_type=EventType.TBOOT_MODULE, data=b"initramfs"),
)


def test_a_dynamic_launch_resets_the_launch_pcrs_and_measures_the_module(running: RunningTpm, tpm: Tpm) -> None:
    module = b"code module" * 1000  # over two chunks of the control channel
    before = tpm.pcr_read({SHA256: range(17, 23)})[SHA256]
    dynamic_launch(running.control, tpm, module=module, measurements=())

    assert set(before.values()) == {b"\xff" * 32}
    for alg in BANKS:
        read = tpm.pcr_read({alg: range(17, 23)})[alg]
        assert read.pop(17) == extended(alg, start_value(alg), module)
        assert set(read.values()) == {start_value(alg)}
    assert running.control.is_established()


def test_the_events_of_a_dynamic_launch_replay_to_its_pcrs(running: RunningTpm, tpm: Tpm) -> None:
    events = dynamic_launch(running.control, tpm, module=b"module", measurements=LAUNCH)

    assert [event.index for event in events] == list(range(5))
    assert [event.reported_type for event in events[:2]] == [EventType.TXT_HASH_START, EventType.TXT_LCP_HASH]
    for alg in BANKS:
        replayed = {pcr: start_value(alg) for pcr in (17, 18, 19)}
        for event in events:
            replayed[event.pcr] = alg.digest(replayed[event.pcr] + event.digests[alg])
        assert tpm.pcr_read({alg: [17, 18, 19]}) == {alg: replayed}


def test_a_launch_measurement_from_locality_0_is_refused(running: RunningTpm, tpm: Tpm) -> None:
    outside = Measurement(locality=0, pcr=17, event_type=EventType.TBOOT_MODULE, data=b"late")
    with pytest.raises(TpmError, match="not allowed from this locality"):
        dynamic_launch(running.control, tpm, module=b"module", measurements=[outside])


def test_after_a_launch_commands_come_from_locality_0_again(running: RunningTpm, tpm: Tpm) -> None:
    dynamic_launch(running.control, tpm, module=b"module", measurements=LAUNCH)

    with pytest.raises(TpmError, match="not allowed from this locality"):
        tpm.pcr_extend(19, {SHA256: KERNEL})


# The process and its factory.


def test_several_tpms_are_made_at_once_and_differ(factory: Factory) -> None:
    states = manufacture(factory, ["a", "b"])
    publics = set()
    for state in states:
        with run_tpm(state) as running, running.connect() as tpm:
            power_on(running.control, tpm)
            publics.add(tpm.read_public(EK_RSA2048.handle))

    assert states == (factory.state("a"), factory.state("b"))
    assert len(publics) == 2


def test_a_factory_in_a_given_folder_stays(tmp_path: Path) -> None:
    with open_factory(tmp_path) as factory:
        pass

    assert factory.folder == tmp_path
    assert (tmp_path / "setup.conf").exists()


def test_the_same_name_is_not_manufactured_twice(factory: Factory) -> None:
    manufacture(factory, ["once"])
    with pytest.raises(ConnectorError, match="TPM 'once' exists already"):
        manufacture(factory, ["once"])


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(ConnectorError, match=r"swtpm is not installed: .*apt-get install swtpm"), open_factory():
        pass


def test_a_failing_tool_is_quoted(tmp_path: Path) -> None:
    broken = Factory(folder=tmp_path)

    with pytest.raises(ConnectorError, match=r"swtpm_setup could not make TPM 'x': .*setup\.conf"):
        manufacture(broken, ["x"])


def test_a_tool_that_cannot_run_is_an_outside_failure(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manufacturing, "SECONDS", 0)

    with pytest.raises(ConnectorError, match="swtpm_setup did not make TPM 'slow'"):
        manufacture(factory, ["slow"])


def test_a_tpm_that_was_never_made_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="there is no TPM state in"):
        run_tpm(tmp_path / "none").__enter__()


def test_a_tpm_that_ends_at_once_did_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find_program", lambda _name: "/bin/false")
    with pytest.raises(ConnectorError, match="swtpm does not start on"):
        run_tpm(tmp_path).__enter__()


def test_a_port_lost_to_another_process_is_replaced(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    (state,) = manufacture(factory, ["unlucky"])
    free = process._free_port
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ports = iter([taken, free()])
        monkeypatch.setattr(process, "_free_port", lambda: next(ports))
        with run_tpm(state) as running:
            assert running.address[1] != taken


def test_a_machine_without_free_ports_is_said_to_be_so(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    (state,) = manufacture(factory, ["unluckier"])
    monkeypatch.setattr(process, "ATTEMPTS", 2)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(process, "_free_port", lambda: taken)
        with pytest.raises(ConnectorError, match="no free port in 2 attempts"), run_tpm(state):
            pass


def test_the_tpm_ends_with_its_block(factory: Factory) -> None:
    (state,) = manufacture(factory, ["brief"])
    with run_tpm(state) as running:
        address = running.address

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address)


def test_a_tpm_that_does_not_end_in_time_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SECONDS_TO_END", 0)
    script = "trap '' TERM; echo up; exec sleep 60"
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        process._Child(process=stubborn, lifeline=os.open(os.devnull, os.O_RDONLY)).end()

    assert stubborn.returncode == -signal.SIGKILL


def test_a_machine_that_cannot_start_programs_is_an_outside_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(ConnectorError, match=r"swtpm cannot be started: .*temporarily"):
        run_tpm(tmp_path).__enter__()


def test_an_interrupted_block_ends_the_tpm(factory: Factory) -> None:
    (state,) = manufacture(factory, ["interrupted"])
    addresses = []
    with suppress(KeyboardInterrupt), run_tpm(state) as running:
        addresses.append(running.address)
        raise KeyboardInterrupt

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(addresses[0])


OWNER = """
import sys
from pathlib import Path
from bartizan.connectors.swtpm.process import run_tpm
with run_tpm(Path(sys.argv[1])) as running:
    print(running.address[1], flush=True)
    sys.stdin.read()
"""


def test_a_tpm_does_not_outlive_an_owner_that_is_killed(factory: Factory) -> None:
    (state,) = manufacture(factory, ["orphan"])
    command = [sys.executable, "-c", OWNER, str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        address = ("127.0.0.1", int(owner.stdout.readline()))
        with socket.create_connection(address, timeout=30) as connection:
            owner.send_signal(signal.SIGKILL)
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""  # returns when swtpm is gone


def test_a_control_channel_that_is_gone_is_an_outside_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()

    with pytest.raises(ConnectorError, match="control channel failed at INIT"):
        Control(address).reset()


def test_a_control_channel_that_hangs_up_is_an_outside_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            with server.accept()[0] as connection:
                connection.recv(100)

        thread = Thread(target=hang_up)
        thread.start()
        with pytest.raises(ConnectorError, match=r"control channel failed at INIT: .*closed"):
            Control(server.getsockname()).reset()
        thread.join()


def test_a_tpm_that_is_gone_is_a_tpm_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()

    with pytest.raises(TpmError, match="cannot be reached"):
        RunningTpm(address=address, control=Control(address), pid=0).connect()


def test_a_locality_beyond_four_does_not_exist(running: RunningTpm) -> None:
    with pytest.raises(ValueError, match="0 to 4"):
        running.control.set_locality(5)


def test_a_refusal_of_the_control_channel_carries_its_code(factory: Factory) -> None:
    (state,) = manufacture(factory, ["damaged"])
    (state / "tpm2-00.permall").write_bytes(b"no state at all")

    with run_tpm(state) as running, pytest.raises(ConnectorError, match="refused INIT with 0x"):
        running.control.reset()
