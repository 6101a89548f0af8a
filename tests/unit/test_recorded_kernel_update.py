"""A kernel update that a real machine went through (Ubuntu, GRUB): the log before it foretells the one after it.

What stands for the update's files comes from the log after it: their digests, and the menu as grub-mkconfig wrote it.
Commands, the command line and which events change at all are the prediction's own.
"""

from collections import Counter
from dataclasses import replace
from functools import cache

from bartizan.formats.grub_config import decode_grub_config
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import Event
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import VerifiedBoot
from bartizan.model.image import BootImage
from bartizan.model.reference import ReferenceSet
from bartizan.reference.components import Components, Configuration, Digests
from bartizan.reference.predict import predict
from bartizan.reference.propose import propose
from bartizan.reference.vetting import Vetting
from bartizan.verify.authenticode import SignerRules
from bartizan.verify.boot import verify_boot
from bartizan.verify.boot_roles import boot_roles
from bartizan.verify.replay import replay
from tests.simulator.boot_images import VECTORS

LOGS = VECTORS.parent / "boot_logs" / "immune-gmbh_guard-oss"
BANK = HashAlg.SHA256
RELEASE = "5.4.0-100-generic"
NO_SIGNER = Vetting(demanded=False, signers=SignerRules(accepted=frozenset()), images=frozenset())
"""The logs hold no image, so that nobody's signature can be looked at."""


@cache
def boot(name: str) -> VerifiedBoot:
    log = decode_boot_log((LOGS / f"test-{name}__eventlog.bin").read_bytes())
    return verify_boot(log, {BANK: replay(log, BANK)}, pinned=BANK)


def digests(event: Event | None) -> Digests:
    assert event is not None
    return {BANK: event.digests[BANK]}


def kernel() -> BootImage:
    """The new kernel, as far as a log tells it."""
    roles = boot_roles(boot("update"))
    assert roles.grub is not None
    return BootImage(
        size=0,
        flat=digests(roles.grub.kernel_file),
        authenticode=digests(roles.kernel[0]),
        signatures=(),
        sbat=None,
        release=RELEASE,
    )


def configuration() -> Configuration:
    """The new grub.cfg: its digest, and its menu written back from what GRUB measured of it."""
    after = boot("update")
    roles = boot_roles(after)
    assert roles.grub is not None
    commands = (text.text for text in after.facts.texts if text.text.startswith(("menuentry ", "submenu ")))
    lines = map(as_written, commands)
    raw = "\n".join(lines).encode()
    return Configuration(digests=digests(roles.grub.configuration), content=decode_grub_config(raw))


def as_written(command: str) -> str:
    """A menu's command as grub-mkconfig wrote it: the title in quotes, the option's name in a variable."""
    words, brace, block = command.partition(" {")
    title, dashes, options = words.partition(" --")
    kind, _, title = title.partition(" ")
    return f"{kind} '{title}'{dashes}{options.replace('--id ', '$menuentry_id_option ')}{brace}{block}"


def values(found: ReferenceSet) -> Counter[tuple[int, bytes]]:
    return Counter((event.pcr, event.digests[BANK]) for event in found.events)


def foretold(**more: object) -> ReferenceSet:
    roles = boot_roles(boot("update"))
    assert roles.grub is not None
    initrds = tuple(digests(event) for event in roles.grub.initrd_files)
    new = Components(source="an update", kernel=kernel(), initrds=initrds, **more)  # type: ignore[arg-type]  # by name
    return predict(boot("before"), None, new, vetting=NO_SIGNER, name="next").reference


def actual() -> ReferenceSet:
    return propose(boot("update"), None, name="actual", source="the log after the update")


def test_the_log_before_the_update_foretells_the_log_after_it() -> None:
    found = foretold(configuration=configuration())

    assert values(found) == values(actual())
    assert len(values(found) - values(propose(boot("before"), None, name="n", source="s"))) == 9


def test_without_the_new_grub_cfg_only_what_it_brings_is_missing() -> None:
    missing = values(actual()) - values(foretold())
    labels = {(event.pcr, event.digests[BANK]): event.label for event in actual().events}

    assert sorted(labels[value].split()[1] for value in missing) == ["(hd0,gpt2)/grub/grub.cfg", "submenu"]


def test_the_update_would_be_told_without_a_prediction() -> None:
    before = replace(actual(), events=propose(boot("before"), None, name="n", source="s").events)

    assert sorted(Counter(pcr for pcr, _ in values(actual()) - values(before)).items()) == [(4, 1), (8, 5), (9, 3)]
