"""Buffers in IMA lists: what each says, when it may be believed, and what a list proves about kexec and SELinux."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.formats.ima import decode_ima
from bartizan.formats.ima_buffer import MAX_COMMAND_LINE, MAX_STATE, decode_buffer, is_buffer_template
from bartizan.model.digest import HashAlg
from bartizan.model.ima import ImaEntry
from bartizan.model.ima_buffer import (
    Buffer,
    BufferFacts,
    KexecCommandLine,
    Keyring,
    SelinuxPolicy,
    SelinuxState,
    UnknownBuffer,
)
from bartizan.verify.ima import verify_ima
from bartizan.verify.ima_buffers import buffer_facts
from tests.unit.ima_lists import VECTORS, Line, ascii_list, binary, buf, d_ng, extended, ng, sha256

CERTIFICATE = (VECTORS / "boots" / "good" / "ek_cert.der").read_bytes()
STATE = b"initialized=1;enforcing=1;checkreqprot=0;network_peer_controls=1;open_perms=1;"
AGGREGATE = ng(b"boot_aggregate", b"\xa0" * 32)
KERNEL, INITRAMFS = ng(b"/boot/vmlinuz", b"\xa1" * 32), ng(b"/boot/initrd.img", b"\xa2" * 32)


def entry(line: Line) -> ImaEntry:
    (found,) = decode_ima(binary([line])).entries
    return found


def decoded(line: Line) -> Buffer | None:
    return decode_buffer(entry(line))


def facts(lines: Sequence[Line], vouched: int | None = None) -> BufferFacts:
    """What a list proves of which PCR 10 covers the first entries, all unless a number is given."""
    value = extended(lines[:vouched], HashAlg.SHA256)
    verified = verify_ima(decode_ima(binary(lines)), {HashAlg.SHA256: {10: value}}, pinned=HashAlg.SHA256)
    return buffer_facts(verified)


@pytest.mark.parametrize("name", [b".ima", b".builtin_trusted_keys", b".secondary_trusted_keys", b"_uid.0"])
def test_a_key_added_to_a_keyring_is_its_certificate(name: bytes) -> None:
    assert decoded(buf(name, CERTIFICATE)) == Keyring(name=name.decode(), certificate=CERTIFICATE)


def test_a_kexec_command_line_is_text_with_or_without_its_terminator() -> None:
    expected = KexecCommandLine(text="root=/dev/vda1 ro quiet")

    assert decoded(buf(b"kexec-cmdline", b"root=/dev/vda1 ro quiet")) == expected
    assert decoded(buf(b"kexec-cmdline", b"root=/dev/vda1 ro quiet\0")) == expected
    assert decoded(buf(b"kexec-cmdline", b"")) == KexecCommandLine(text="")
    assert decoded(buf(b"kexec-cmdline", b"a\xff")) == KexecCommandLine(text="a\udcff")


def test_selinux_tells_its_switches() -> None:
    found = decoded(buf(b"selinux-state", STATE))

    assert isinstance(found, SelinuxState)
    assert found.flags["open_perms"] == 1
    assert found.flags["checkreqprot"] == 0
    assert found.enforcing


@pytest.mark.parametrize("state", [b"initialized=1;enforcing=0;", b"initialized=0;enforcing=1;", b"open_perms=1;"])
def test_selinux_enforces_only_with_a_policy_and_in_that_mode(state: bytes) -> None:
    found = decoded(buf(b"selinux-state", state))

    assert isinstance(found, SelinuxState)
    assert not found.enforcing


@pytest.mark.parametrize("size", [20, 32, 48, 64])
def test_selinux_tells_the_hash_of_its_policy(size: int) -> None:
    assert decoded(buf(b"selinux-policy-hash", b"\x07" * size)) == SelinuxPolicy(digest=b"\x07" * size)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        (b"selinux-state", b"initialized=1;enforcing=1"),
        (b"selinux-state", b"initialized=2;"),
        (b"selinux-state", b"enforcing=1;enforcing=0;"),
        (b"selinux-state", b"\x03" + STATE),
        (b"selinux-state", b""),
        (b"selinux-state", b"a=1;" * (MAX_STATE // 4 + 1)),
        (b"selinux-policy-hash", b"\x07" * 31),
        (b"kexec-cmdline", b"a\0b"),
        (b"kexec-cmdline", b"a" * (MAX_COMMAND_LINE + 1)),
        (b".ima", b"\x31" + CERTIFICATE[1:]),
        (b"ima", CERTIFICATE),
        (b"kernel_version", b"6.1.0-49-amd64"),
        (b"dm_table_load", b"dm_version=4.45.0;"),
    ],
)
def test_a_buffer_of_another_name_or_form_is_unknown(name: bytes, payload: bytes) -> None:
    found = decoded(buf(name, payload))

    assert found == UnknownBuffer(name=name.decode(), payload=payload, why="no buffer of a known name and form")


def test_a_buffer_whose_digest_is_not_its_hash_is_not_believed() -> None:
    for label, digest in ((b"sha256", b"\x01" * 32), (b"md5", b"\x01" * 16), (b"whirlpool", b"\x01" * 64)):
        found = decoded(buf(b"selinux-state", STATE, digest=digest, label=label))

        assert isinstance(found, UnknownBuffer)
        assert found.why == "the digest is not the hash of the buffer"


@pytest.mark.parametrize("label", [b"sha1", b"sha384", b"sha512", b"ima:sha256"])
def test_the_digest_of_a_buffer_may_be_of_any_algorithm(label: bytes) -> None:
    template = "d-ngv2|n-ng|buf" if label.startswith(b"ima:") else "ima-buf"

    assert isinstance(decoded(buf(b"selinux-state", STATE, label=label, template=template)), SelinuxState)


def test_only_digest_name_and_buffer_make_a_buffer() -> None:
    signed = Line("ima-sig", (d_ng(sha256(STATE)), b"selinux-state\0", STATE), b"")
    fields = ("d-ng|n-ng|buf", "ima-buf", "d-ngv2|n-ng|buf")

    assert decoded(ng(b"selinux-state", sha256(STATE))) is None
    assert decoded(signed) is None
    assert all(map(is_buffer_template, fields))
    assert not any(map(is_buffer_template, ("ima-modsig", "d-ng|n-ng", "d-ng|n-ng|buf|sig", "d|n|sig", "nonsense")))


def test_a_violation_holds_no_buffer() -> None:
    line = buf(b"selinux-state", STATE)

    assert decoded(Line(line.template, line.values, line.text, violation=True)) is None


def test_of_a_command_line_measured_without_its_text_only_the_fact_is_known() -> None:
    found = decoded(ng(b"kexec-cmdline", sha256(b"ro")))

    assert found == UnknownBuffer(name="kexec-cmdline", payload=b"", why="only its digest was measured")


def test_both_forms_of_a_list_hold_the_same_buffers() -> None:
    lines = [AGGREGATE, buf(b"kexec-cmdline", b"ro quiet"), buf(b".ima", CERTIFICATE)]

    found = [[decode_buffer(each) for each in decode_ima(raw).entries] for raw in (binary(lines), ascii_list(lines))]

    assert (
        found[0] == found[1] == [None, KexecCommandLine(text="ro quiet"), Keyring(name=".ima", certificate=CERTIFICATE)]
    )


def test_a_list_tells_its_keys_states_and_other_buffers_in_order() -> None:
    lines = [
        AGGREGATE,
        buf(b".ima", CERTIFICATE),
        buf(b"selinux-state", STATE),
        buf(b"selinux-policy-hash", b"\x07" * 32),
        KERNEL,
        buf(b"selinux-state", STATE.replace(b"enforcing=1", b"enforcing=0")),
        buf(b"kernel_version", b"6.1"),
    ]

    found = facts(lines)

    assert [each.entry for each in found.keys] == [1]
    assert [
        (each.entry, each.buffer.enforcing) for each in found.selinux_states if isinstance(each.buffer, SelinuxState)
    ] == [
        (2, True),
        (5, False),
    ]
    assert [each.entry for each in found.selinux_policies] == [3]
    assert [each.entry for each in found.others] == [6]
    assert (found.kexec_loads, found.kexec_starts) == ((), ())


def test_only_what_pcr_10_vouches_for_counts() -> None:
    lines = [AGGREGATE, buf(b"selinux-state", STATE), KERNEL, buf(b"selinux-state", STATE)]

    assert [each.entry for each in facts(lines, 3).selinux_states] == [1]
    unwritten = Line("ima-buf", lines[1].values, b"", violation=True)
    assert [each.entry for each in facts([AGGREGATE, unwritten, lines[1]]).selinux_states] == [2]
    forged = verify_ima(decode_ima(binary(lines)), {HashAlg.SHA256: {10: b"\x01" * 32}}, pinned=HashAlg.SHA256)
    assert buffer_facts(forged).selinux_states == ()


def test_each_later_kernel_comes_with_every_command_line_that_was_loaded_for_it() -> None:
    lines = [
        AGGREGATE,
        KERNEL,
        INITRAMFS,
        buf(b"kexec-cmdline", b"first"),
        buf(b"kexec-cmdline", b"second"),
        AGGREGATE,
        buf(b"kexec-cmdline", b"third"),
        AGGREGATE,
        AGGREGATE,
        ng(b"kexec-cmdline", sha256(b"fourth")),
        AGGREGATE,
        buf(b"kexec-cmdline", b"loaded, not started"),
    ]

    found = facts(lines)

    assert [each.entry for each in found.kexec_loads] == [3, 4, 6, 9, 11]
    assert [
        (start.since, start.boot_aggregate, [load.entry for load in start.loads]) for start in found.kexec_starts
    ] == [(0, 5, [3, 4]), (5, 7, [6]), (7, 8, []), (8, 10, [9])]
    assert found.kexec_starts[0].loads[1].buffer == KexecCommandLine(text="second")
    assert found.others == ()


@given(
    st.sampled_from([b".ima", b"kexec-cmdline", b"selinux-state", b"selinux-policy-hash", b"x"]),
    st.binary(max_size=200),
)
def test_any_buffer_is_told_or_unknown(name: bytes, payload: bytes) -> None:
    assert decoded(buf(name, payload)) is not None
    assert decoded(buf(name, payload, digest=b"\x01" * 32)) is not None
