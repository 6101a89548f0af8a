"""Programs that end with whoever started them, whatever happens to that one: a pipe is held, and death lets go of it.

A death signal of the kernel's (PR_SET_PDEATHSIG) would come when the *thread* ends that started the program. It is no
way to end a program in order: that is its starter's part, who closes the pipe afterwards.
"""

from collections.abc import Sequence

LIFELINE = """
begun() { read -r said < /proc/$$/stat; set -- ${said##*) }; shift 19; echo "$1"; }
at=$(begun)
exec 3<&"$1"
if [ "$1" = 0 ]; then exec </dev/null; else exec >/dev/null; fi
shift
(read -r _ <&3; [ "$(begun)" = "$at" ] && kill -s KILL $$) >/dev/null 2>&1 &
exec "$@" 3<&-
"""
"""Becomes the program, and leaves a watcher behind that kills it when the pipe is closed. By then the program may have
ended, and its number be another one's: when that began is the 22nd field of its line in /proc."""
STDIN, STDOUT = 0, 1


def tied(command: Sequence[str], *, by: int = STDIN) -> list[str]:
    """The command of a program that is killed when the other end of a pipe is closed, even by death.

    by: the file that it has to be started with as the pipe's reading end, standard input or output; the program finds
    nothing there.
    """
    return ["/bin/sh", "-c", LIFELINE, "lifeline", str(by), *command]
