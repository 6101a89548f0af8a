"""Whether a CoRIM keeps the rules of the profile that it names; draft-ietf-rats-corim-11, 4.1.4.

A profile that is not known here refuses the whole CoRIM, as the draft demands: nobody may guess what its values mean.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bartizan.errors import VerifyError
from bartizan.formats.manifest_types import OCTETS, PEM_CERTIFICATE, PEM_KEY, PEM_PATH, UEID, UUID
from bartizan.model.cbor import Tagged
from bartizan.model.corim import Comid, Corim, ElementKey, Environment, KeyTriple, Measurement, ValueTriple

CHECK = "corim.profile"
BOOT_EVENTS = "tag:bartizan,2026:corim/boot-events#1"
"""Bartizan's own: each reference triple is one event that may be measured; its mkey is the PCR."""
HASH_SIZES = (32, 48, 64)
UEID_SIZE, RANDOM_UEID = 33, 1
PCRS = range(24)

Subject = TypeVar("Subject")
Rule = Callable[[Subject], str]
"""What is wrong with something, in words; empty when nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a profile asks of a CoMID's reference triples and attestation key triples.

    elements: rules by measurement key; `any_number` are the rules for keys that are numbers, where those are allowed.
    """

    environment: Rule[Environment]
    keys: Rule[KeyTriple]
    measurements: Rule[tuple[Measurement, ...]]
    elements: Mapping[str, Rule[Measurement]] = field(default_factory=dict)
    any_number: Rule[Measurement] | None = None
    any_element: bool = False


def check_profile(corim: Corim) -> None:
    """Refuse a CoRIM whose profile is not known, or that breaks its rules; without a profile there is nothing to keep.

    Raises:
        VerifyError: it is refused.
    """
    if corim.profile is None:
        return
    profile = PROFILES.get(corim.profile)
    if profile is None:
        why = f"profile {corim.profile[:80]!a} is not known here, and so the whole CoRIM is refused (draft, 4.1.4)"
        raise VerifyError(CHECK, why)
    for fault in _faults(corim, profile):
        raise VerifyError(CHECK, f"{corim.profile}: {fault}")


def _faults(corim: Corim, profile: Profile) -> Iterator[str]:
    for comid in (tag for tag in corim.tags if isinstance(tag, Comid)):
        for index, triple in enumerate(comid.triples.reference):
            yield from _named(f"reference value {index}", _triple_faults(triple, profile))
        for index, keys in enumerate(comid.triples.attest_keys):
            yield from _named(f"attestation key {index}", [profile.keys(keys)])


def _named(what: str, faults: Iterator[str] | list[str]) -> Iterator[str]:
    return (f"{what}: {fault}" for fault in faults if fault)


def _triple_faults(triple: ValueTriple, profile: Profile) -> Iterator[str]:
    yield profile.environment(triple.environment)
    yield profile.measurements(triple.measurements)
    for measurement in triple.measurements:
        yield _element_fault(measurement, profile)


def _element_fault(measurement: Measurement, profile: Profile) -> str:
    key = measurement.key
    if isinstance(key, int) and profile.any_number is not None:
        return profile.any_number(measurement)
    if isinstance(key, str) and key in profile.elements:
        return profile.elements[key](measurement)
    expected = ", ".join(profile.elements) or "a number"
    return "" if profile.any_element else f"measurement key {expected} expected, found {_shown(key)}"


def _shown(key: ElementKey | None) -> str:
    return "none" if key is None else f"tag {key.tag}" if isinstance(key, Tagged) else f"{key!a:.60}"


# What the rules are made of.


def both(*rules: Rule[Subject]) -> Rule[Subject]:
    """All of these; the first fault counts."""
    return lambda subject: next((fault for rule in rules if (fault := rule(subject))), "")


def no_rule(_subject: object) -> str:
    """Nothing is asked."""
    return ""


def class_id(tag: int, *sizes: int) -> Rule[Environment]:
    """A class identifier under this tag, of one of these lengths."""

    def fault(environment: Environment) -> str:
        found = environment.kind.id if environment.kind is not None else None
        return _tagged_fault("class-id", found, tag, sizes)

    return fault


def instance(tag: int, *sizes: int) -> Rule[Environment]:
    """An instance identifier under this tag, of one of these lengths."""
    return lambda environment: _tagged_fault("instance", environment.instance, tag, sizes)


def _tagged_fault(what: str, found: Tagged | None, tag: int, sizes: tuple[int, ...]) -> str:
    if found is None or found.tag != tag:
        return f"{what} under tag {tag} expected, found {'none' if found is None else f'tag {found.tag}'}"
    size = len(found.value) if isinstance(found.value, bytes) else 0
    return (
        f"{what} of {' or '.join(map(str, sizes))} bytes expected, found {size}" if sizes and size not in sizes else ""
    )


def random_instance(environment: Environment) -> str:
    """A UEID of the random kind with 32 bytes; PSA and CCA endorsements, instance ID."""
    fault = instance(UEID, UEID_SIZE)(environment)
    if fault or environment.instance is None:
        return fault
    octets = environment.instance.value
    return "" if isinstance(octets, bytes) and octets[0] == RANDOM_UEID else "an instance UEID of type 1 expected"


def no_instance(environment: Environment) -> str:
    """The class alone is named."""
    return "an instance is named" if environment.instance is not None else ""


def no_class(environment: Environment) -> str:
    """No class is named."""
    return "a class is named" if environment.kind is not None else ""


def no_group(environment: Environment) -> str:
    """No group is named."""
    return "a group is named" if environment.group is not None else ""


def vendor_and_model(*pair: str) -> Rule[Environment]:
    """The class has a vendor and a model: these, or any."""

    def fault(environment: Environment) -> str:
        kind = environment.kind
        if kind is None or kind.vendor is None or kind.model is None:
            return "a class with vendor and model expected"
        return f"vendor and model {' '.join(pair)} expected" if pair and pair != (kind.vendor, kind.model) else ""

    return fault


def key_triple(environment: Rule[Environment], *tags: int, most: int = 100) -> Rule[KeyTriple]:
    """Keys of these kinds, at most so many, of such an environment."""

    def fault(triple: KeyTriple) -> str:
        if len(triple.keys) > most:
            return f"at most {most} key expected, found {len(triple.keys)}"
        odd = [key.tag for key in triple.keys if key.tag not in tags]
        return (
            f"keys under tag {' or '.join(map(str, tags))} expected, found {odd}"
            if odd
            else environment(triple.environment)
        )

    return fault


def digests(most: int = 100) -> Rule[Measurement]:
    """Digests of a hash function's whole length, at most so many."""

    def fault(measurement: Measurement) -> str:
        found = measurement.values.digests
        if not 0 < len(found) <= most:
            return f"1 to {most} digests expected, found {len(found)}"
        return "a digest is shortened" if any(len(one.value) not in HASH_SIZES for one in found) else ""

    return fault


def raw_value(measurement: Measurement) -> str:
    """A raw value."""
    return "a raw value expected" if measurement.values.raw is None else ""


def signer_id(measurement: Measurement) -> str:
    """Exactly one key: bytes of a hash's length; PSA endorsements, signer ID."""
    keys = measurement.values.keys
    if len(keys) != 1:
        return f"one signer (cryptokeys) expected, found {len(keys)}"
    return _tagged_fault("signer", keys[0], OCTETS, HASH_SIZES)


def no_scheme(measurement: Measurement) -> str:
    """A version without a scheme."""
    return "a version scheme is given" if measurement.values.version_scheme is not None else ""


def holds(*names: str) -> Rule[tuple[Measurement, ...]]:
    """These elements are all there."""

    def fault(measurements: tuple[Measurement, ...]) -> str:
        missing = set(names) - {one.key for one in measurements if isinstance(one.key, str)}
        return f"no measurement of {', '.join(sorted(missing))}" if missing else ""

    return fault


def single(measurements: tuple[Measurement, ...]) -> str:
    """Exactly one measurement."""
    return "" if len(measurements) == 1 else f"one measurement expected, found {len(measurements)}"


def is_pcr(measurement: Measurement) -> str:
    """The key is the index of a PCR."""
    return "" if measurement.key in PCRS else f"a PCR from 0 to 23 expected, found {_shown(measurement.key)}"


IMPLEMENTATION = class_id(OCTETS, 32)
COMPONENT = both(digests(), signer_id, no_scheme)
REGISTER = digests(most=1)
CCA_PLATFORM = Profile(
    environment=both(IMPLEMENTATION, no_instance),
    keys=key_triple(both(IMPLEMENTATION, random_instance), PEM_KEY, most=1),
    measurements=holds("cca.software-component"),
    elements={"cca.software-component": COMPONENT, "cca.platform-config": raw_value},
)
SNP = Profile(
    environment=instance(OCTETS),
    keys=key_triple(vendor_and_model(), PEM_CERTIFICATE, PEM_PATH),
    measurements=no_rule,
    any_number=no_rule,
)
PROFILES: Mapping[str, Profile] = {
    BOOT_EVENTS: Profile(
        environment=both(no_instance, no_group),
        keys=lambda _triple: "no attestation keys belong here",
        measurements=single,
        any_number=both(is_pcr, digests()),
    ),
    "tag:arm.com,2025:psa#1.0.0": Profile(  # draft-fdb-rats-psa-endorsements, 3
        environment=both(IMPLEMENTATION, no_instance),
        keys=key_triple(both(IMPLEMENTATION, random_instance), PEM_KEY, most=1),
        measurements=no_rule,
        elements={"psa.software-component": both(digests(), signer_id)},
    ),
    "tag:arm.com,2025:cca_platform#1.0.0": CCA_PLATFORM,  # draft-ydb-rats-cca-endorsements, 3.1
    "tag:arm.com,2025:cca_realm#1.0.0": Profile(  # the same, 3.2
        environment=both(class_id(OCTETS, *HASH_SIZES), no_instance),
        keys=no_rule,
        measurements=holds("cca.rim"),
        elements={f"cca.{name}": REGISTER for name in ("rim", "rem0", "rem1", "rem2", "rem3")} | {"cca.rpv": raw_value},
    ),
    "tag:github.com/parallaxsecond,2023-03-03:cca": CCA_PLATFORM,
    "tag:github.com/parallaxsecond,2023-03-03:tpm": Profile(
        environment=both(class_id(UUID), no_instance, no_group),
        keys=key_triple(both(class_id(UUID), instance(OCTETS), no_group), PEM_KEY, most=1),
        measurements=no_rule,
        any_number=both(is_pcr, digests()),
    ),
    "tag:amd.com,2024:snp-corim-profile": SNP,
    "https://amd.com/ark": SNP,
    "https://enacttrust.com/veraison/1.0.0": Profile(
        environment=both(instance(UUID), no_class, no_group),
        keys=key_triple(both(instance(UUID), no_class, no_group), PEM_KEY, most=1),
        measurements=single,
        any_number=REGISTER,
        any_element=True,
    ),
    "tag:veraison-project.com,2026:riot": Profile(
        environment=lambda _environment: "no reference values belong here",
        keys=key_triple(vendor_and_model("Veraison Project", "RIOT"), PEM_CERTIFICATE, PEM_PATH),
        measurements=no_rule,
        any_element=True,
    ),
}
