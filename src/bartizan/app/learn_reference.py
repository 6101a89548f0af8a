"""`bartizan reference propose` and `diff`: Reference Values from a boot declared good, and what differs from them."""

from pathlib import Path

from bartizan.app.evidence_folder import Recording, read_recording
from bartizan.app.reference_folder import read_reference
from bartizan.model.evidence import VerifiedBoot, VerifiedIma
from bartizan.model.reference import ReferenceSet
from bartizan.reference.diff import Difference, differences
from bartizan.reference.propose import COMPARED, PROPOSED, propose
from bartizan.verify.evidence import verify_logs
from bartizan.verify.identity import ak_attributes
from bartizan.verify.quote import verify_quote


def propose_from(folder: Path, *, name: str | None = None, done: str = PROPOSED) -> ReferenceSet:
    """The Reference Values of the boot recorded in a folder.

    The quote and the logs must hold; whose TPM it is does not matter here, for a person declared the boot good. `done`
    says in a refusal what is not done with the boot.

    Raises:
        ConfigError, DecodeError: the folder cannot be used. VerifyError: the evidence does not add up.
    """
    boot, ima = verified_parts(read_recording(folder))
    place = folder.resolve().name
    return propose(boot, ima, name=name or place, source=f"boot recorded in {place}", done=done)


def differences_from(reference_folder: Path, folder: Path) -> tuple[Difference, ...]:
    """What the boot in `folder` measured otherwise than the Reference Values say.

    Raises:
        ConfigError, DecodeError: a folder cannot be used. VerifyError: the evidence does not add up.
    """
    reference = read_reference(reference_folder)
    return differences(reference, propose_from(folder, done=COMPARED))


def verified_parts(recording: Recording) -> tuple[VerifiedBoot, VerifiedIma | None]:
    """What the quote of a recording vouches for: its boot and its IMA list.

    Raises:
        VerifyError: the quote does not hold, or its key would sign what no TPM made.
    """
    evidence = recording.evidence
    ak_attributes(evidence.identity.ak)
    quote = verify_quote(
        evidence.quote, ak=evidence.identity.ak, untrusted_pcrs=evidence.untrusted_pcrs, challenge=recording.challenge
    )
    return verify_logs(evidence, quote)
