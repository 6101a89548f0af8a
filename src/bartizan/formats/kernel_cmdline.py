"""The kernel's command line, taken apart as the kernel does it (lib/cmdline.c). It knows no parameter's meaning."""

import re
from collections.abc import Mapping

MAX_PARAMETERS = 4096
"""Parameters looked at; the kernel's own limit of 4096 characters (x86 COMMAND_LINE_SIZE 2048) is below it."""
WORD = re.compile(r'(?:"[^"]*(?:"|$)|[^\s"])+')


def parse_cmdline(text: str) -> Mapping[str, tuple[str, ...]]:
    """Parameter to its values in their order; a parameter without `=` has the value `""`.

    Double quotes keep white space together; `-` and `_` are the same in a name; what follows `--` is init's.
    Linux lib/cmdline.c (next_arg) and kernel/params.c (parameq, parse_args).
    """
    found: dict[str, list[str]] = {}
    for word in WORD.findall(text)[:MAX_PARAMETERS]:
        if word == "--":
            break
        name, _, value = word.strip('"').partition("=")
        found.setdefault(name.replace("-", "_"), []).append(value.strip('"'))
    return {name: tuple(values) for name, values in found.items()}
