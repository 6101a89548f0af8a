"""`bartizan reference propose` and `diff`: Reference Values from a boot declared good, and what differs from them."""

from pathlib import Path

from bartizan.app.evidence_folder import Recording, read_recording
from bartizan.app.reference_folder import read_reference
from bartizan.model.evidence import VerifiedBoot, VerifiedIma
from bartizan.model.reference import ReferenceSet
from bartizan.reference.diff import Difference, differences
from bartizan.reference.propose import propose
from bartizan.verify.evidence import verify_logs
from bartizan.verify.quote import verify_quote


def propose_from(folder: Path, *, name: str | None = None) -> ReferenceSet:
    """The Reference Values of the boot recorded in a folder.

    The quote and the logs must hold; whose TPM it is does not matter here, for a person declared the boot good.

    Raises:
        ConfigError, DecodeError: the folder cannot be used. VerifyError: the evidence does not add up.
    """
    boot, ima = verified_parts(read_recording(folder))
    return propose(boot, ima, name=name or folder.resolve().name, source=f"boot recorded in {folder.resolve().name}")


def differences_from(reference_folder: Path, folder: Path) -> tuple[Difference, ...]:
    """What the boot in `folder` measured otherwise than the Reference Values say.

    Raises:
        ConfigError, DecodeError: a folder cannot be used. VerifyError: the evidence does not add up.
    """
    reference = read_reference(reference_folder)
    return differences(reference, propose_from(folder))


def verified_parts(recording: Recording) -> tuple[VerifiedBoot, VerifiedIma | None]:
    """What the quote of a recording vouches for: its boot and its IMA list.

    Raises:
        VerifyError: the quote does not hold.
    """
    evidence = recording.evidence
    quote = verify_quote(
        evidence.quote, ak=evidence.identity.ak, untrusted_pcrs=evidence.untrusted_pcrs, challenge=recording.challenge
    )
    return verify_logs(evidence, quote)
