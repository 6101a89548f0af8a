"""What GRUB will measure when it runs a script: each command into PCR 8, each file it reads into PCR 9.

GRUB manual, "Measured Boot". A condition that cannot be foretold is taken both ways, so that what may happen is among
the values; what a machine's state alone decides (a command that names an unknown variable) is left out and said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bartizan.errors import VerifyError
from bartizan.formats.grub_script import Branch, Choice, Command, Function, Script, Word, decode_grub_script
from bartizan.reference.grub_condition import foretell
from bartizan.verify.boot_roles import CHECK, INITRD_COMMANDS, KERNEL_COMMANDS

MAX_COMMANDS = 20_000
MAX_CALLS = 16
"""Scripts and functions in each other."""
FEATURES = (
    *("feature_chainloader_bpb", "feature_ntldr", "feature_platform_search_hint", "feature_default_font_path"),
    *("feature_all_video_module", "feature_menuentry_id", "feature_menuentry_options", "feature_200_final"),
    *("feature_nativedisk_cmd", "feature_timeout_style"),
)
"""Variables that GRUB 2.06 sets to "y"."""
LISTS = ("command", "fs", "crypto", "terminal")
"""Of modules; read from the folder of the prefix whenever that is set."""
VALUED = ("--class", "--users", "--hotkey", "--source", "--id")
"""Options of a menu's command that take a value."""
SAVED = "grubenv"
KERNEL = "kernel"
"""The role of the file that becomes the kernel."""
SEARCHES = ("search", "search.file", "search.fs_label", "search.fs_uuid")
TESTS = ("[", "test")
READS = ("source", ".", "configfile", "normal")


class Disks(Protocol):
    """The file systems that GRUB will see."""

    def read(self, place: str) -> bytes | None:
        """A file's content, by device and path: `(hd0,gpt1)/grub/grub.cfg`; None where there is no such file."""
        ...

    def has(self, place: str) -> bool | None:
        """Whether a file or folder is there; None where the device is not known."""
        ...

    def device(self, name: str, *, is_file: bool) -> str | None:
        """The device that `search` finds by a file on it, a label or UUID; None where that is not known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measurement: kind `grub_cmd` or `kernel_cmdline` with its text, or `file` with its place and content."""

    kind: str
    text: str
    content: bytes = b""
    role: str = ""


@dataclass(slots=True, kw_only=True)
class GrubRun:
    """GRUB running: its variables (None: not known), its functions, and what it measured so far.

    left: what could not be foretold, in words.
    """

    disks: Disks
    variables: dict[str, str | None]
    measured: list[Measured] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    functions: dict[str, Script] = field(default_factory=dict)
    menu: list[tuple[Command, list[str]]] = field(default_factory=list)
    is_over: bool = False
    commands: int = 0

    def run(self, script: Script, *, depth: int = 0) -> bool | None:
        """Run statements; the answer is that of the last one.

        Raises:
            VerifyError: they go on without end. DecodeError: a script that is read is none.
        """
        if depth > MAX_CALLS:
            raise VerifyError(CHECK, f"GRUB's scripts call each other more than {MAX_CALLS} deep")
        answer: bool | None = True
        for statement in script:
            if self.is_over:
                break
            match statement:
                case Function(name=name, body=body):
                    self.functions[name] = body
                case Choice(branches=branches, otherwise=otherwise):
                    answer = self._choose(branches, otherwise, depth=depth)
                case Command():
                    answer = self._command(statement, depth=depth)
        return answer

    def _choose(self, branches: Sequence[Branch], otherwise: Script, *, depth: int) -> bool | None:
        """`if`: the branch whose condition holds, or each that may."""
        if not branches:
            return self.run(otherwise, depth=depth)
        holds = self.run(branches[0].condition, depth=depth)
        if holds:
            return self.run(branches[0].body, depth=depth)
        if holds is False:
            return self._choose(branches[1:], otherwise, depth=depth)
        before = dict(self.variables)
        self.run(branches[0].body, depth=depth)
        ended, self.is_over = self.is_over, False
        after, self.variables = self.variables, before
        self._choose(branches[1:], otherwise, depth=depth)
        self.is_over = self.is_over and ended
        names = self.variables.keys() | after.keys()
        both = {name: (self.variables.get(name, ""), after.get(name, "")) for name in names}
        self.variables = {name: one if one == other else None for name, (one, other) in both.items()}
        return None

    def words(self, words: Sequence[Word]) -> list[str] | None:
        """Words with their variables' values; None where one is not known. A variable outside quotes is split."""
        found: list[str] = []
        for word in words:
            parts: list[str] = []
            is_there = False
            for piece in word:
                value = self.variables.get(piece.text, "") if piece.variable else piece.text
                if value is None:
                    return None
                if piece.variable and not piece.quoted:
                    split = value.split()
                    parts += ["".join([parts.pop() if parts else "", split[0]]), *split[1:]] if split else []
                else:
                    parts = [*parts[:-1], (parts[-1] if parts else "") + value]
                    is_there = True
            found += parts if parts or not is_there else [""]
        return found

    def _command(self, command: Command, *, depth: int) -> bool | None:
        self.commands += 1
        if self.commands > MAX_COMMANDS:
            raise VerifyError(CHECK, f"GRUB's scripts run more than {MAX_COMMANDS} commands")
        words = self.words(command.words)
        if words is None:
            self._leave(command)
            return None
        if not words:
            return True
        self.measured.append(
            Measured(kind="grub_cmd", text=" ".join([*words, *([command.block] * bool(command.block))]))
        )
        inverted = words[0] == "!"
        answer = self._obey(words[inverted:], command, depth=depth) if words[inverted:] else None
        return (None if answer is None else not answer) if inverted else answer

    def _leave(self, command: Command) -> None:
        """A command that names a variable whose value depends on the machine's state."""
        shown = " ".join(
            "".join(f"${{{piece.text}}}" if piece.variable else piece.text for piece in word) for word in command.words
        )
        self.left.append(f"not foretold, for a variable in it depends on the machine: {shown}")
        target = self.words(command.words[1:2]) if shown.startswith("set ") else None
        name = (target[0] if target else shown.removeprefix("set ")).partition("=")[0]
        if name.isidentifier():
            self.variables[name] = None

    def _obey(self, words: list[str], command: Command, *, depth: int) -> bool | None:
        """What a command does that bears on what is measured later."""
        name = words[0]
        if name in self.functions:
            return self._call(name, words[1:], depth=depth)
        if command.block:
            self.menu.append((command, words))
            return True
        if name in READS:
            return self._source(words[1] if words[1:] else f"{self.variables.get('prefix')}/grub.cfg", depth=depth)
        return self._builtin(words)

    def _builtin(self, words: list[str]) -> bool | None:
        name = words[0]
        if name in TESTS:
            return foretell(words[1:-1] if name == "[" else words[1:], self._ask)
        if name in KERNEL_COMMANDS or name in INITRD_COMMANDS:
            return self._load(words)
        return self._search(words) if name in SEARCHES else self._simple(words)

    def _simple(self, words: list[str]) -> bool | None:
        name, arguments = words[0], words[1:]
        match name:
            case "set" | "export" | "unset":
                for argument in arguments:
                    self._assign(argument, drop=name == "unset")
            case "load_env":
                return self._load_environment()
            case "loadfont":
                fonts = [one if "/" in one else f"{self.variables.get('prefix')}/fonts/{one}.pf2" for one in arguments]
                return None not in [self._file(font, role="font") for font in fonts]
            case "true" | "insmod" | "save_env" | "setparams" | "echo" | "terminal_output" | "terminal_input":
                return True
            case "false":
                return False
            case "boot" | "exit" | "return" | "halt" | "reboot":
                self.is_over = name != "return"
            case _ if "=" in name:
                self._assign(name)
            case _:
                return None
        return True

    def _assign(self, assignment: str, *, drop: bool = False) -> None:
        name, equals, value = assignment.partition("=")
        if drop:
            self.variables.pop(name, None)
        elif equals:
            self.variables[name] = value
            if name == "prefix":
                for lists in LISTS:
                    self._file(f"{value}/x86_64-efi/{lists}.lst", role="module list")

    def _place(self, path: str) -> str | None:
        """A path with its device; that of the root where none is named."""
        if path.startswith("("):
            return path
        root = self.variables.get("root", "")
        return None if root is None else f"({root}){path}"

    def _ask(self, question: str, path: str) -> bool | None:
        place = self._place(path)
        if place is None:
            return None
        if question == "-s":
            content = self._file(path, role="file")
            return bool(content) if content is not None or self.disks.has(place) is not None else None
        return self.disks.has(place)

    def _file(self, path: str, *, role: str) -> bytes | None:
        """A file that GRUB reads whole; None where there is none."""
        place = self._place(path)
        content = self.disks.read(place) if place is not None else None
        if content is not None:
            self.measured.append(Measured(kind="file", text=path, content=content, role=role))
        return content

    def _needed(self, path: str, *, role: str) -> None:
        if self._file(path, role=role) is None:
            raise VerifyError(CHECK, f"GRUB will load {path} ({role}), which is on none of the given disks")

    def _load(self, words: list[str]) -> bool:
        """`linux` and `initrd`: their files, and the kernel's command line."""
        name, arguments = words[0], [word for word in words[1:] if not word.startswith("--")]
        if name in INITRD_COMMANDS:
            for path in arguments:
                self._needed(path, role="initramfs")
            return True
        if not arguments:
            return False
        self._needed(arguments[0], role=KERNEL)
        line = " ".join(_escaped(word) for word in arguments)
        self.measured.append(Measured(kind="kernel_cmdline", text=line))
        return True

    def _source(self, path: str, *, depth: int) -> bool:
        content = self._file(path, role="configuration")
        if content is None:
            return False
        self.run(decode_grub_script(content), depth=depth + 1)
        return True

    def _call(self, name: str, arguments: list[str], *, depth: int) -> bool | None:
        outer = {key: self.variables.get(key) for key in self.variables if key.isdecimal()}
        for key in outer:
            del self.variables[key]
        self.variables |= {str(number): value for number, value in enumerate(arguments, 1)}
        answer = self.run(self.functions[name], depth=depth + 1)
        for key in [key for key in self.variables if key.isdecimal()]:
            del self.variables[key]
        self.variables |= outer
        return answer

    def _load_environment(self) -> bool:
        """The environment block that save_env keeps, 1,024 bytes of NAME=VALUE lines."""
        content = self._file(f"{self.variables.get('prefix')}/{SAVED}", role="environment")
        if content is None:
            return False
        lines = content.decode("utf-8", "surrogateescape").split("\n")
        pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
        self.variables |= {name: value for name, _, value in pairs}
        return True

    def _search(self, words: list[str]) -> bool | None:
        """`search`: which device it finds, and the variable that will hold it."""
        if words[0] != "search":
            names, is_file = words[1:2], words[0] == "search.file"
            target = words[2] if words[2:] else "root"
        else:
            sets = [word for word in words if word == "--set" or word.startswith("--set=")]
            target = sets[0].partition("=")[2] or "root" if sets else ""
            names = [word for word in words[1:] if not word.startswith("-")][-1:]
            is_file = any(word in ("--file", "-f") for word in words)
        device = self.disks.device(names[0], is_file=is_file) if names else None
        if target and (device is not None or not is_file):
            self.variables[target] = device
        return None if device is None else True


def _escaped(word: str) -> str:
    """An argument as GRUB hands it to the kernel: with blanks it is quoted, some characters are escaped."""
    inner = "".join(f"\\{letter}" if letter in "\\'\"" else letter for letter in word)
    return f'"{inner}"' if " " in word else inner


def entry(run: GrubRun, wanted: str | None) -> Iterator[Command]:
    """The menu's command that will be run, and those inside it: as wanted, as `default` says, or the first.

    Raises:
        VerifyError: there is no such entry, or the default is not known.
    """
    chosen = wanted if wanted is not None else run.variables.get("default", "")
    if chosen is None:
        raise VerifyError(CHECK, "which menu entry is the default depends on the machine: name it")
    for step in chosen.split(">") if chosen else ["0"]:
        titles = [_names(words) for _, words in run.menu]
        found = next((number for number, names in enumerate(titles) if step in (str(number), *names)), None)
        if found is None:
            raise VerifyError(CHECK, f"GRUB's menu has no entry {step!a}")
        command, words = run.menu[found]
        run.menu = []
        title = " ".join(_plain(words)[:1])
        run.measured.append(Measured(kind="grub_cmd", text=f"setparams {title}"))
        yield command


def _plain(words: list[str]) -> list[str]:
    """A menu command's words without its name and its options."""
    after = zip(["", *words[1:]], words[1:], strict=False)
    return [word for before, word in after if not word.startswith("--") and before not in VALUED]


def _names(words: list[str]) -> list[str]:
    """What an entry may be called by: its title, and its identifier."""
    identity = words[words.index("--id") + 1 :][:1] if "--id" in words else []
    return [*_plain(words)[:1], *identity]
