"""May a new image become a Reference Value: signed by somebody the machine or policy accepts, and not revoked?

What it finds is said in words, which then stand with the value as its provenance.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.signature_list import decode_authority
from bartizan.formats.uefi import SHIM_SLACK, decode_variable
from bartizan.formats.x509 import decode_certificate
from bartizan.model.certificate import Certificate
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import VerifiedBoot
from bartizan.model.image import BootImage
from bartizan.model.policy import Policy
from bartizan.verify.authenticode import SignerRules, fingerprint, verify_signer

REVOKED = "image.revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetting:
    """What images are held against.

    demanded: Secure Boot is on, so that nothing unsigned will start; images: revoked Authenticode SHA-256 digests;
    sbat: component to the lowest generation that may run, of the machine's SbatLevel and of the policy.
    """

    demanded: bool
    signers: SignerRules
    images: frozenset[bytes]
    sbat: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, boot: VerifiedBoot, policy: Policy, named: tuple[Certificate, ...] = ()) -> "Vetting":
        """What the present boot and the policy demand; `named` are certificates that the operator accepts besides."""
        facts = boot.facts
        used = tuple(authorities(boot))
        accepted = {fingerprint(certificate) for certificate in (*used, *named)}
        machine = facts.sbat or {}
        return cls(
            demanded=facts.secure_boot is True,
            signers=SignerRules(
                accepted=frozenset(accepted | {signer.fingerprint for signer in policy.signers}),
                issuers=(*used, *named),
                revoked=policy.revoked_certificates | facts.dbx_certificates,
            ),
            images=policy.revoked_images | facts.dbx_images,
            sbat={
                name: max(machine.get(name, 0), policy.sbat_minimum.get(name, 0))
                for name in {*machine, *policy.sbat_minimum}
            },
        )

    def words(self, image: BootImage) -> str:
        """What may be said of an image that passes: "signed by …, not revoked".

        Raises:
            VerifyError: it is revoked, or Secure Boot is on and no accepted signer signed it.
        """
        self._refuse_revoked(image)
        try:
            signer = verify_signer(image, self.signers)
        except VerifyError as error:
            if self.demanded:
                raise VerifyError(error.check, f"Secure Boot is on, and {error.why}") from error
            return "without an accepted signature (Secure Boot is off), not revoked"
        return f"signed by {signer.name}, not revoked"

    def _refuse_revoked(self, image: BootImage) -> None:
        if image.authenticode[HashAlg.SHA256] in self.images:
            raise VerifyError(REVOKED, "the image's digest is on a revocation list (dbx)")
        for entry in image.sbat.entries if image.sbat is not None else ():
            least = self.sbat.get(entry.component, 0)
            if entry.generation < least:
                why = f"{entry.component} is of generation {entry.generation}, and {least} is the lowest that may run"
                raise VerifyError(REVOKED, f"revoked by SBAT: {why}")


def authorities(boot: VerifiedBoot) -> Iterator[Certificate]:
    """The certificates that let code run in this boot, from the events that the log measured them by."""
    wanted = {authority.event: authority.fingerprint for authority in boot.facts.authorities if authority.fingerprint}
    for event in boot.events:
        if event.index not in wanted:
            continue
        try:
            data = decode_authority(decode_variable(event.data, slack=SHIM_SLACK).data).data
            if hashlib.sha256(data).digest() == wanted[event.index]:
                yield decode_certificate(data)
        except DecodeError:
            continue
