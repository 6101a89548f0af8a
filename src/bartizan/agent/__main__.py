"""`bartizan-agent`: the command line of the node agent."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, Dict, Optional, Sequence

from bartizan.agent import PROTOCOL, VERSION, commands
from bartizan.agent.halves import Ended, ended
from bartizan.agent.privilege import DEFAULT_USER
from bartizan.agent.state import DEFAULT_FOLDER

ABOUT = """Attests this machine to a Bartizan service: proves with its TPM how it started and what has run since.
It opens no port, only calls the service, and reads but never changes the machine."""
STATUS = """exit status: 0 good; 1 the service says no, or judges the machine bad; 2 what was given cannot be used;
3 the network, the TPM or a log failed."""


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="bartizan-agent", description=ABOUT, epilog=STATUS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"bartizan-agent {VERSION}, protocol {PROTOCOL}")
    kinds = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    enrol = _command(kinds, "enrol", "make this machine known to a service, once")
    _add_enrol(enrol)
    run = _command(kinds, "run", "attest again and again, as often as the service asks for it")
    once = _command(kinds, "once", "attest once, now, and say what the service makes of it")
    once.add_argument("--show", action="store_true", help="show what would be sent, and send nothing")
    for command in (enrol, run, once):
        _add_halves(command)
        _add_user(command, "user to become before talking to the network")
    status = _command(kinds, "status", "say what the agent is doing")
    for command in (once, status):
        command.add_argument("--json", action="store_true", help="one JSON document instead of words")
    collector = _command(kinds, "collector", "the privileged half alone: holds the TPM, reads logs, has no network")
    collector.add_argument("--socket", type=Path, required=True, metavar="PATH", help="where to listen")
    _add_machine(collector)
    _add_user(collector, "the only user, beside its own, that it answers")
    return top


def _command(
    kinds: argparse._SubParsersAction[argparse.ArgumentParser], name: str, does: str
) -> argparse.ArgumentParser:
    made = kinds.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", epilog=STATUS)
    made.add_argument(
        "--state", type=Path, default=Path(DEFAULT_FOLDER), metavar="DIR", help=f"state folder ({DEFAULT_FOLDER})"
    )
    return made


def _add_enrol(command: argparse.ArgumentParser) -> None:
    command.add_argument("--service", required=True, metavar="URL", help="https://host[:port] of the service")
    command.add_argument(
        "--pin", metavar="sha256:HEX", help="SHA-256 of the service's public key; `bartizan serve` says it"
    )
    command.add_argument("--name", required=True, help="the node's name, as the service has registered it")
    command.add_argument("--role", default="compute", help="what the node is for (%(default)s)")
    token = command.add_mutually_exclusive_group()
    token.add_argument("--token-file", type=Path, metavar="FILE", help="the join token; or set BARTIZAN_TOKEN")
    token.add_argument("--token", metavar="-", help="- reads the join token from standard input")
    command.add_argument("--again", action="store_true", help="enrol anew a machine that is enrolled already")
    command.add_argument(
        "--wait", action="store_true", help="wait until a review is over, and for a service that is away"
    )


def _add_machine(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--tpm", metavar="ADDRESS", help="/dev/…, tcp:host:port or unix:/path (default: /dev/tpmrm0, else /dev/tpm0)"
    )
    command.add_argument(
        "--endorsement-auth",
        type=Path,
        metavar="FILE",
        help="password of the TPM's endorsement hierarchy, if it has one",
    )
    command.add_argument(
        "--root", type=Path, default=Path("/"), metavar="DIR", help="where the host's /sys and /proc are found (/)"
    )


def _add_halves(command: argparse.ArgumentParser) -> None:
    command.add_argument("--collector", type=Path, metavar="PATH", help="socket of a `bartizan-agent collector` to use")
    _add_machine(command)


def _add_user(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--user", metavar="NAME", help=f"{what}: a name or uid[:gid] (as root: {DEFAULT_USER})")


COMMANDS: Dict[str, Callable[[argparse.Namespace], int]] = {
    "enrol": commands.enrol,
    "run": commands.run,
    "once": commands.once,
    "status": commands.status,
    "collector": commands.collect,
}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command; its exit status."""
    chosen = parser().parse_args(arguments)
    try:
        return COMMANDS[chosen.command](chosen)
    except Exception as error:  # noqa: BLE001  the outermost frame: exit status 1 has a meaning, a bug has not
        return ended(error)
    except Ended as error:
        return ended(error)


if __name__ == "__main__":
    sys.exit(main())
