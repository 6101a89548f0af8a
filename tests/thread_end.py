"""An end for a thread from outside, as want of memory ends it: wherever it happens to be. Not a test."""

import ctypes
import threading


def end_thread(name: str, error: type[BaseException] = MemoryError) -> None:
    """Raise the error in the one thread of this name; one that waits meets it when it wakes."""
    (found,) = [one for one in threading.enumerate() if one.name == name]
    assert found.ident is not None
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(found.ident), ctypes.py_object(error)) == 1
