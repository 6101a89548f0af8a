"""The boot events of an image, computed from its files, against the logs of boots that really were."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bartizan.app.reference_folder import read_reference
from bartizan.errors import VerifyError
from bartizan.formats.boot_image import decode_boot_image
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent
from bartizan.reference.image_boot import BootSources, ImageBoot, boot_of
from tests.simulator.boot_images import VECTORS, Pe, Signing
from tests.unit.cli_runner import BOOTS, Ran, run
from tests.unit.image_disks import DEVICE, EARLY, RECORDED_CONFIG, MemoryDisks, recorded_boot, recorded_disk
from tests.unit.kernel_machines import image

BANK = HashAlg.SHA256
KERNEL = Pe().signed(Signing()).encode()
ROOT = "hd0,gpt2"


def boot(
    files: Mapping[str, bytes],
    *,
    early: bytes = b"source $prefix/grub.cfg",
    entry: str | None = None,
    found: Mapping[str, str] | None = None,
    devices: tuple[str, ...] = (DEVICE,),
) -> ImageBoot:
    """What the boot of these files measures; a path without a device is on the first one."""
    placed = {path if path.startswith("(") else f"({DEVICE}){path}": content for path, content in files.items()}
    sources = BootSources(
        disks=MemoryDisks(files=placed, found=found or {}, devices=devices),
        images=(),
        early=early,
        root=DEVICE,
        prefix="/grub",
        folder="/EFI/BOOT",
        entry=entry,
        origin=lambda _: "a test",
    )
    return boot_of(sources)


def commands(found: ImageBoot) -> list[str]:
    return [event.label.partition(": ")[2] for event in found.events if event.pcr == 8]


def ran(config: str, **more: bytes) -> list[str]:
    """The commands that a configuration runs, without the one that reads it."""
    files = {"/grub/grub.cfg": config.encode(), "/k": KERNEL, "/i": b"i"}
    return commands(boot(files | {f"/{name}": content for name, content in more.items()}))[1:]


def values(events: tuple[ReferenceEvent, ...] | list[Event], *pcrs: int) -> set[tuple[int, bytes]]:
    return {(event.pcr, event.digests[BANK]) for event in events if event.pcr in pcrs}


def test_the_recorded_boot_follows_from_its_files_alone() -> None:
    log = decode_boot_log((BOOTS / "good" / "bios_at_quote.bin").read_bytes())
    measured = [event for event in log.events if event.reported_type != EventType.SEPARATOR]
    found = recorded_boot()

    assert found.left == ()
    assert values(found.events, 4, 8, 9) == values(measured, 4, 8, 9)
    assert [event.digests[BANK] for event in found.events if event.pcr == 4] == [
        event.digests[BANK] for event in measured if event.pcr == 4
    ]
    assert [event.digests[BANK] for event in found.events if event.pcr == 8] == [
        event.digests[BANK] for event in measured if event.pcr == 8
    ]
    assert values(found.events, 5) <= values(measured, 5)
    assert all(event.provenance for event in found.events)


UBUNTU = VECTORS.parent / "boot_logs" / "immune-gmbh_guard-oss" / "test-update__eventlog.bin"
UUID = "de68f5b1-01c3-415e-9e58-45413115c6e4"
HEADER = """
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${initrdfail}" = 2 ]; then
   set initrdfail=
elif [ "${initrdfail}" = 1 ]; then
   set next_entry="${prev_entry}"
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
else
   set default="0"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
function recordfail {
  set recordfail=1
  if [ -n "${have_grubenv}" ]; then if [ -z "${boot_once}" ]; then save_env recordfail; fi; fi
}
function load_video {
  if [ x$feature_all_video_module = xy ]; then
    insmod all_video
  else
    insmod efi_gop
  fi
}
function gfxmode {
  set gfxpayload="${1}"
  if [ "${1}" = "keep" ]; then set vt_handoff=vt.handoff=7; else set vt_handoff=; fi
}
set linux_gfx_mode=keep
export linux_gfx_mode
"""
"""In the manner of grub-mkconfig, without its terminal, its colours and its hook for a file of one's own."""
NOT_WRITTEN_OUT = [
    *("font=unicode", "loadfont unicode", "set gfxmode=auto", "insmod gfxterm"),
    *("set locale_dir=(hd0,gpt2)/grub/locale", "set lang=en_US", "insmod gettext", "terminal_output gfxterm"),
    *("set timeout_style=hidden", "set timeout=0"),
    *("set menu_color_normal=white/black", "set menu_color_highlight=black/light-gray"),
    *("[  != 1 ]", "[ -e (hd0,gpt2)/grub/gfxblacklist.txt ]"),
    *("[ -f (hd0,gpt2)/grub/custom.cfg ]", "[ -z (hd0,gpt2)/grub -a -f (hd0,gpt2)/grub/custom.cfg ]"),
]


def test_a_generated_menu_leads_to_the_commands_of_a_real_log() -> None:
    log = decode_boot_log(UBUNTU.read_bytes())
    measured = [event for event in log.events if event.pcr == 8]
    texts = [event.data.removesuffix(b"\0").partition(b": ")[2].decode() for event in measured]
    blocks = [text for text in texts if text.startswith(("menuentry ", "submenu "))]
    config = HEADER.encode() + "\n".join(map(as_written, blocks)).encode()
    found = boot(
        {
            "/EFI/ubuntu/grub.cfg": f"search.fs_uuid {UUID} root {ROOT}\nset prefix=($root)'/grub'\n"
            "configfile $prefix/grub.cfg\n".encode(),
            f"({ROOT})/grub/grub.cfg": config,
            f"({ROOT})/grub/grubenv": b"# GRUB Environment Block\n####",
            f"({ROOT})/vmlinuz-5.4.0-100-generic": KERNEL,
            f"({ROOT})/initrd.img-5.4.0-100-generic": b"i",
        },
        early=b"source /EFI/ubuntu/grub.cfg",
        found={UUID: ROOT},
        devices=(DEVICE, ROOT),
    )

    header = texts[: texts.index("[ xy = xy ]") + 3]
    known = values(found.events, 8)
    unknown = [text for text, event in zip(texts, measured, strict=True) if (8, event.digests[BANK]) not in known]
    assert found.left == ()
    assert commands(found)[1 : len(header) + 1] == header
    assert unknown == NOT_WRITTEN_OUT


def as_written(command: str) -> str:
    """A menu's command as grub-mkconfig wrote it."""
    words, brace, block = command.partition(" {")
    title, dashes, options = words.partition(" --")
    kind, _, title = title.partition(" ")
    return f"{kind} '{title}'{dashes}{options.replace('--id ', '$menuentry_id_option ')}{brace}{block}"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("set a='b c'\nlinux /k $a\nboot", ["set a=b c", "linux /k b c", "/k b c", "boot"]),
        ("set a='b c'\nlinux /k \"$a\"\nboot", ["set a=b c", "linux /k b c", '/k "b c"', "boot"]),
        ("linux /k $none x\nboot", ["linux /k x", "/k x", "boot"]),
        ('linux /k "$none" x\nboot', ["linux /k  x", "/k  x", "boot"]),
        ("linux /k a\\\nb\nboot", ["linux /k ab", "/k ab", "boot"]),
        ("linux /k a=\\$b 'c\"d'\nboot", ['linux /k a=$b c"d', '/k a=$b c\\"d', "boot"]),
        ("! true\nlinux /k; boot", ["! true", "linux /k", "/k", "boot"]),
        ("if ! false; then linux /k; fi; boot", ["! false", "linux /k", "/k", "boot"]),
        ("if [ -e /i -a ! -d /j ]; then linux /k; fi; boot", ["[ -e /i -a ! -d /j ]", "linux /k", "/k", "boot"]),
        ("if [ 2 -gt 10 ]; then linux /i; else linux /k; fi; boot", ["[ 2 -gt 10 ]", "linux /k", "/k", "boot"]),
        ("function f { linux /k $1; }\nf x\nboot", ["f x", "linux /k x", "/k x", "boot"]),
        ("linux /k # quiet\nboot # now", ["linux /k", "/k", "boot"]),
        ("linux /k a#b\nboot", ["linux /k a#b", "/k a#b", "boot"]),
        ("unset prefix\nlinux /k ${prefix}.\nboot", ["unset prefix", "linux /k .", "/k .", "boot"]),
        ("linux /k\ninitrd /i\nboot\nhalt", ["linux /k", "/k", "initrd /i", "boot"]),
    ],
)
def test_words_are_what_grub_makes_of_them(config: str, expected: list[str]) -> None:
    assert ran(config) == expected


def test_what_cannot_be_foretold_is_taken_both_ways() -> None:
    said = ran("if cmostest 1:2; then set t=0; linux /k a; else set t=9; linux /k b; fi\nset x=$t\nset y=$x\nboot")

    assert said == ["cmostest 1:2", "set t=0", "linux /k a", "/k a", "set t=9", "linux /k b", "/k b", "boot"]


def test_a_command_that_depends_on_the_machine_is_left_out_and_said() -> None:
    found = boot({"/grub/grub.cfg": b"if keystatus; then set a=1; fi\nlinux /k $a\nlinux /k b\nboot", "/k": KERNEL})

    assert found.left == ("not foretold, for a variable in it depends on the machine: linux /k ${a}",)
    assert commands(found)[-3:] == ["linux /k b", "/k b", "boot"]


MENU = """
menuentry 'One' --class x --id first { linux /k one; }
submenu 'More' { menuentry 'Two' { linux /k two; }
 menuentry "Th'ree" --users '' { linux /k three; } }
"""


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (None, ["setparams One", "linux /k one", "/k one"]),
        ("first", ["setparams One", "linux /k one", "/k one"]),
        ("One", ["setparams One", "linux /k one", "/k one"]),
        ("More>Two", ["setparams Two", "linux /k two", "/k two"]),
        ("1>1", ["setparams Th'ree", "linux /k three", "/k three"]),
    ],
)
def test_the_menus_default_or_the_named_entry_is_run(entry: str | None, expected: list[str]) -> None:
    found = boot({"/grub/grub.cfg": MENU.encode(), "/k": KERNEL}, entry=entry)

    assert commands(found)[-3:] == expected
    assert "menuentry One --class x --id first { linux /k one; }" in commands(found)


def test_the_environment_block_chooses_the_entry() -> None:
    config = 'load_env\nset default="${saved_entry}"\n' + MENU
    env = b"# GRUB Environment Block\nsaved_entry=More>Two\n####"
    found = boot({"/grub/grub.cfg": config.encode(), "/grub/grubenv": env, "/k": KERNEL})

    assert commands(found)[-1] == "/k two"
    assert [event.label for event in found.events if event.pcr == 9][1] == f"file: ({DEVICE})/grub/grubenv"


@pytest.mark.parametrize(
    ("config", "entry", "why"),
    [
        (MENU, "none", "no entry 'none'"),
        ("true", None, "no entry '0'"),
        ("linux /gone\nboot", None, "/gone (kernel), which is on none of the given disks"),
        ("linux /k\ninitrd /i /gone\nboot", None, "/gone (initramfs)"),
        ("function f { f; }\nf\nboot", None, "deep"),
        ("if keystatus; then set default=1; fi" + MENU, None, "name it"),
    ],
)
def test_what_cannot_boot_is_refused(config: str, entry: str | None, why: str) -> None:
    with pytest.raises(VerifyError, match=why.replace("(", r"\(").replace(")", r"\)")):
        boot({"/grub/grub.cfg": config.encode(), "/k": KERNEL, "/i": b"i"}, entry=entry)


def test_scripts_that_never_end_are_refused() -> None:
    doubling = "".join(f"function f{n} {{ f{n + 1}; f{n + 1}; f{n + 1}; }}\n" for n in range(14)) + "f0\n"

    with pytest.raises(VerifyError, match="20000 commands"):
        boot({"/grub/grub.cfg": doubling.encode()})


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """The recorded image's disk, with a kernel of the tests."""
    for place, content in recorded_disk().files.items():
        path = tmp_path / "esp" / place.partition(")")[2].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(KERNEL if path.name == "vmlinuz" else content)
    (tmp_path / "root/opt/agent").mkdir(parents=True)
    (tmp_path / "root/opt/agent/init").write_bytes(b"init")
    (tmp_path / "grubx64.efi").write_bytes(KERNEL)
    return tmp_path


def imported(disk: Path, *more: str | Path) -> Ran:
    root = disk / "root"
    return run("reference", "import", "files", root, "/opt/agent", "--out", disk / "own", "--json", *more)


def test_one_command_writes_the_images_files_and_its_boot(disk: Path) -> None:
    done = imported(disk, "--disk", f"{DEVICE}={disk}/esp", "--image", disk / "grubx64.efi")
    found = read_reference(disk / "own")
    labels = [event.label for event in found.events]

    assert (done.code, done.document["events"], done.document["files"], done.document["left"]) == (0, 20, 1, [])
    assert "grubx64.efi" in labels
    assert f"kernel_cmdline: /vmlinuz {RECORDED_CONFIG.decode().split('/vmlinuz ')[1].splitlines()[0]}" in labels
    by_label = {event.label: event for event in found.events}
    assert by_label["file: /vmlinuz"].digests[BANK] == decode_boot_image(KERNEL).flat[BANK]
    assert by_label["file: /initrd.img"].digests[BANK] == BANK.digest(b"an initramfs")
    shown = run("reference", "show", disk / "own", "--json").document
    assert all(row["provenance"] for row in shown["events"])


def test_people_are_told_what_is_left_aside(disk: Path) -> None:
    config = disk / "esp" / "EFI" / "debian" / "grub.cfg"
    config.write_bytes(b"if keystatus; then set a=1; fi\necho $a\n" + RECORDED_CONFIG)

    done = run(
        *("reference", "import", "files", disk / "root", "/opt/agent", "--out", disk / "own"),
        *("--disk", f"{DEVICE}={disk}/esp"),
    )

    assert done.code == 0
    assert "left aside: not foretold" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--disk", "hd0"), 2),
        (("--disk", "hd0=/nowhere"), 2),
        (("--disk", "{esp}", "--found", "ESP=hd9"), 2),
        (("--disk", "{esp}", "--found", "ESP=(hd0,gpt1)"), 0),
        (("--disk", "{esp}", "--image", "{esp_folder}/initrd.img"), 2),
        (("--disk", "{esp}", "--entry", "none"), 0),
        (("--entry", "none"), 2),
        (("--disk", "{esp}", "--early", "{esp_folder}/initrd.img"), 1),
        (("--disk", "{esp}", "--prefix", "/EFI/none"), 1),
    ],
)
def test_what_is_named_must_be_there(disk: Path, more: tuple[str, ...], code: int) -> None:
    words = [one.format(esp=f"{DEVICE}={disk}/esp", esp_folder=f"{disk}/esp") for one in more]

    assert imported(disk, *words).code == code


def test_a_link_out_of_the_disk_is_not_followed(disk: Path) -> None:
    (disk / "secret").write_bytes(KERNEL)
    (disk / "esp" / "vmlinuz").unlink()
    (disk / "esp" / "vmlinuz").symlink_to(disk / "secret")

    assert imported(disk, "--disk", f"{DEVICE}={disk}/esp").code == 1


def test_a_kernel_that_is_none_is_named(disk: Path) -> None:
    (disk / "esp" / "vmlinuz").write_bytes(b"no kernel")
    done = imported(disk, "--disk", f"{DEVICE}={disk}/esp")

    assert (done.code, done.document["error"]["what"].partition(":")[0]) == (2, "/vmlinuz")


def test_debians_early_script_stands_for_the_one_inside_its_grub() -> None:
    found = boot({"/boot/grub/grub.cfg": b"linux /k\nboot", "/k": KERNEL, "/.disk/info": b"x"}, early=EARLY)

    assert commands(found)[:4] == [
        f"[ -z ({DEVICE})/grub -o ! -e ({DEVICE})/grub ]",
        "search --file --set=root /.disk/info",
        f"set prefix=({DEVICE})/boot/grub",
        f"[ -e ({DEVICE})/boot/grub/x86_64-efi/grub.cfg ]",
    ]
    assert image().authenticode[BANK] in {event.digests[BANK] for event in found.events if event.pcr == 4}
