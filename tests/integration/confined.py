"""Starts a program under a system call filter that denies tracing: `python confined.py PROGRAM…`. Not a test."""

import ctypes
import os
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
PTRACE = {"x86_64": 101, "aarch64": 117}
LOAD_NUMBER = struct.pack("HBBI", 0x20, 0, 0, 0)
DENY_TRACING = struct.pack("HBBI", 0x15, 0, 1, PTRACE[platform.machine()]) + struct.pack("HBBI", 0x06, 0, 0, 0x00050001)
ALLOW = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)


class Program(ctypes.Structure):
    """struct sock_fprog; Linux include/uapi/linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def confine() -> None:
    """Filter this process and all that it starts."""
    code = ctypes.create_string_buffer(LOAD_NUMBER + DENY_TRACING + ALLOW)
    program = Program(4, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


if __name__ == "__main__":
    confine()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # it is there to become that program
