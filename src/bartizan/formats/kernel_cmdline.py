"""The kernel's command line, taken apart as the kernel does it (lib/cmdline.c). It knows no parameter's meaning."""

import re
from collections.abc import Mapping

MAX_PARAMETERS = 4096
"""Parameters looked at; the kernel's own limit of 4096 characters (x86 COMMAND_LINE_SIZE 2048) is below it."""
WORD = re.compile(rb'(?:"[^"]*(?:"|\Z)|[^\t-\r \xa0"])+')
PARAMETERS_END = "--"
"""What follows belongs to init (Linux Documentation/admin-guide/kernel-parameters.rst)."""


def kernel_words(text: str) -> list[str]:
    """The words that are the kernel's own, as they stand, quotes and all.

    It ends them at bytes that are blank to it and outside quotes. Linux lib/cmdline.c (next_arg), lib/ctype.c and
    kernel/params.c (parse_args). Another reading of quotes or blanks would find words that the kernel does not.
    """
    raw = text.encode("utf-8", "surrogatepass")
    words = [word.decode("utf-8", "backslashreplace") for word in WORD.findall(raw)]
    ends = [place for place, word in enumerate(words) if word.strip('"') == PARAMETERS_END]
    return words[: ends[0]] if ends else words


def parse_cmdline(text: str) -> Mapping[str, tuple[str, ...]]:
    """Parameter to its values in their order; a parameter without `=` has the value `""`.

    Double quotes keep white space together; `-` and `_` are the same in a name; what follows `--` is init's.
    Linux lib/cmdline.c (next_arg) and kernel/params.c (parameq, parse_args).
    """
    found: dict[str, list[str]] = {}
    for word in kernel_words(text)[:MAX_PARAMETERS]:
        name, _, value = word.strip('"').partition("=")
        found.setdefault(name.replace("-", "_"), []).append(value.strip('"'))
    return {name: tuple(values) for name, values in found.items()}
