"""Vetting of new images: who may sign, what is revoked by digest, certificate or generation; each broken once."""

from dataclasses import replace

import pytest

from bartizan.app.defaults import default_policy
from bartizan.errors import VerifyError
from bartizan.formats.boot_image import decode_boot_image
from bartizan.formats.x509 import decode_certificate
from bartizan.model.digest import HashAlg
from bartizan.model.image import BootImage
from bartizan.model.policy import AcceptedSigner
from bartizan.reference.vetting import Vetting, authorities
from bartizan.verify.authenticode import common_name, fingerprint
from tests.simulator.boot_images import Pe, Signing, boot_ca, debian, kernels
from tests.simulator.machine import good
from tests.unit.kernel_machines import verified, without_secure_boot

CA = decode_certificate(boot_ca())
LEAF = decode_certificate(Signing().certificate)
SBAT = b"sbat,1,SBAT Version,sbat,1,https://example.org\ngrub,4,FSF,grub,2.06,https://example.org\n"


def image(sbat: bytes | None = None) -> BootImage:
    sections = {".text": b"code"} | ({".sbat": sbat} if sbat is not None else {})
    return decode_boot_image(Pe(sections=sections).signed(Signing()).encode())


def vetting(**policy: object) -> Vetting:
    boot, _ = verified(good())
    return Vetting.of(boot, replace(default_policy(), **policy), (CA,))  # type: ignore[arg-type]  # fields by name


def test_the_authorities_that_the_boot_used_are_accepted() -> None:
    boot, _ = verified(good())
    names = [common_name(certificate) for certificate in authorities(boot)]

    assert names == ["Microsoft Corporation UEFI CA 2011", "Debian Secure Boot CA"]
    for row in (debian()[0], debian()[2], kernels()[-1]):
        assert vetting().words(row.image) == f"signed by {row.signers[0]}, not revoked"


def test_a_signer_that_the_operator_names_is_accepted() -> None:
    assert vetting().words(image()) == "signed by Test Boot Signer, not revoked"


def test_a_signer_of_the_policy_is_accepted() -> None:
    boot, _ = verified(good())
    policy = replace(default_policy(), signers=(AcceptedSigner(name="ours", fingerprint=fingerprint(LEAF)),))

    assert Vetting.of(boot, policy).words(image()) == "signed by Test Boot Signer, not revoked"


def test_nobody_else_may_sign_under_secure_boot() -> None:
    boot, _ = verified(good())

    with pytest.raises(VerifyError, match="Secure Boot is on, and Test Boot Signer") as raised:
        Vetting.of(boot, default_policy()).words(image())
    assert raised.value.check == "image.signature"


def test_an_unsigned_image_will_not_start_under_secure_boot() -> None:
    with pytest.raises(VerifyError, match="the image is not signed"):
        vetting().words(decode_boot_image(Pe().encode()))


def test_without_secure_boot_an_unsigned_image_is_said_to_be_one() -> None:
    boot, _ = verified(without_secure_boot(good()))
    found = Vetting.of(boot, default_policy())

    assert (
        found.words(decode_boot_image(Pe().encode()))
        == "without an accepted signature (Secure Boot is off), not revoked"
    )


def test_a_revoked_digest_is_refused() -> None:
    digest = image().authenticode[HashAlg.SHA256]

    with pytest.raises(VerifyError, match="revocation list") as raised:
        vetting(revoked_images=frozenset({digest})).words(image())
    assert raised.value.check == "image.revoked"


def test_what_the_machines_own_dbx_revokes_is_refused() -> None:
    boot, _ = verified(good())
    kernel = kernels()[-1].image
    facts = replace(boot.facts, dbx_images=frozenset({kernel.authenticode[HashAlg.SHA256]}))

    with pytest.raises(VerifyError, match="revocation list"):
        Vetting.of(replace(boot, facts=facts), default_policy()).words(kernel)


@pytest.mark.parametrize("certificate", [CA, LEAF], ids=["CA", "signer"])
def test_a_revoked_certificate_is_refused(certificate: object) -> None:
    revoked = frozenset({fingerprint(certificate)})  # type: ignore[arg-type]  # a Certificate

    with pytest.raises(VerifyError, match="is revoked"):
        vetting(revoked_certificates=revoked).words(image())


def test_a_generation_below_the_machines_sbat_level_is_refused() -> None:
    with pytest.raises(VerifyError, match="revoked by SBAT: grub is of generation 4, and 5 is the lowest"):
        vetting().words(image(SBAT))


def test_a_generation_below_the_policys_is_refused() -> None:
    with pytest.raises(VerifyError, match="6 is the lowest"):
        vetting(sbat_minimum={"grub": 6}).words(image(SBAT.replace(b"grub,4", b"grub,5")))


def test_a_generation_that_suffices_passes() -> None:
    assert vetting().words(image(SBAT.replace(b"grub,4", b"grub,5"))).endswith("not revoked")


def test_a_boot_without_an_sbat_level_leaves_the_policys() -> None:
    boot, _ = verified(good())
    found = Vetting.of(replace(boot, facts=replace(boot.facts, sbat=None)), default_policy())

    assert found.sbat == default_policy().sbat_minimum


def test_an_authority_that_cannot_be_read_lends_nobody_trust() -> None:
    boot, _ = verified(good())
    first = boot.facts.authorities[0]
    events = tuple(replace(e, data=b"\0" * 8) if e.index == first.event else e for e in boot.events)

    assert len(list(authorities(replace(boot, events=events)))) == 1


def test_an_authority_under_another_fingerprint_lends_nobody_trust() -> None:
    boot, _ = verified(good())
    first, *rest = boot.facts.authorities
    facts = replace(boot.facts, authorities=(replace(first, fingerprint=bytes(32)), *rest))

    assert len(list(authorities(replace(boot, facts=facts)))) == len(rest)
