"""Messages between agent and Verifier, in CBOR (docs/reference/protocol.md). It reads requests and writes replies."""

from collections.abc import Mapping, Sequence
from functools import cache

from bartizan.errors import DecodeError
from bartizan.formats.cbor import MAX_CBOR, decode_cbor, encode_cbor
from bartizan.formats.cbor_shape import (
    Fields,
    Found,
    Place,
    Read,
    boolean,
    kind,
    many,
    octets,
    sized,
    text,
    unsigned,
)
from bartizan.formats.posture import MAX_DOCUMENT
from bartizan.model.cbor import Encoded, Key, Map
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.protocol import (
    SPOKEN,
    ActivateRequest,
    ChallengeRequest,
    EnrolRequest,
    EvidenceRequest,
    Offer,
    Product,
    SentBoot,
    SentIma,
)
from bartizan.model.result import AttestationResult

MAX_NAME = 128
"""Characters of a node's name or role."""
NAME_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
MAX_TOKEN = 256
MAX_TEXT = 200
"""Characters of other texts: versions, vendors, notes."""
MAX_NOTES = 16
MAX_BANKS = 16
MAX_CERTIFICATES = 300
"""NV indices of one node: 8 for EK certificates, 256 for their chain, one for the platform."""
MAX_OTHER_LOGS = 16
MAX_MESSAGE = MAX_CBOR
MAX_ITEMS = 2048
"""CBOR items of one message: an enrolment with every NV index filled has about 700."""
"""Bytes of evidence, in which logs travel."""
MAX_ENROL = 1024 * 1024
"""Bytes of an enrolment: nearly all of it certificates of at most 2 KiB each. It is kept while it waits."""
MAX_SHORT = 4096
"""Bytes of all other requests."""
SHA256_BYTES = 32


def decode_enrol(raw: bytes) -> EnrolRequest:
    """An `enrol` request.

    Raises:
        DecodeError: malformed, an unknown member, a version not spoken here, a limit passed.
    """
    fields, version = _opened(raw, "enrol")
    product = fields.need("product", "product", Fields)
    request = EnrolRequest(
        version=version,
        name=fields.need("name", "name", _name),
        role=fields.need("role", "role", _name),
        token=fields.maybe("token", "token", _text_of(MAX_TOKEN)),
        ek=fields.need("ek", "ek", octets),
        certificates=fields.need("certificates", "certificates", _by_number(octets, most=MAX_CERTIFICATES)),
        ak=fields.need("ak", "ak", octets),
        banks=fields.need("banks", "banks", _by_number(boolean, most=MAX_BANKS)),
        product=Product(
            manufacturer=product.need("manufacturer", "manufacturer", _text_of(MAX_TEXT)),
            model=product.need("model", "model", _text_of(MAX_TEXT)),
            firmware=product.need("firmware", "firmware", unsigned),
        ),
        agent=fields.need("agent", "agent", _text_of(MAX_TEXT)),
    )
    product.finish()
    fields.finish()
    return request


def decode_activate(raw: bytes) -> ActivateRequest:
    """An `activate` request.

    Raises:
        DecodeError: as for `decode_enrol`.
    """
    fields, version = _opened(raw, "activate")
    request = ActivateRequest(
        version=version,
        enrolment=fields.need("enrolment", "enrolment", octets),
        secret=fields.need("secret", "secret", octets),
    )
    fields.finish()
    return request


def decode_challenge(raw: bytes) -> ChallengeRequest:
    """A `challenge` request.

    Raises:
        DecodeError: as for `decode_enrol`.
    """
    fields, version = _opened(raw, "challenge")
    request = ChallengeRequest(version=version, node=fields.need("node", "node", _name))
    fields.finish()
    return request


def decode_evidence(raw: bytes) -> EvidenceRequest:
    """An `evidence` request; TPM structures and logs in it are still bytes.

    Raises:
        DecodeError: as for `decode_enrol`.
    """
    fields, version = _opened(raw, "evidence")
    request = EvidenceRequest(
        version=version,
        node=fields.need("node", "node", _name),
        nonce=fields.need("nonce", "nonce", octets),
        attest=fields.need("attest", "attest", octets),
        signature=fields.need("signature", "signature", octets),
        pcrs=fields.need("pcrs", "pcrs", _by_number(octets, most=MAX_BANKS)),
        boot=fields.maybe("boot", "boot", _boot),
        ima=fields.maybe("ima", "ima", _ima),
        posture=fields.maybe("posture", "posture", _posture),
        posture_digest=fields.maybe("posture_digest", "posture_digest", sized(SHA256_BYTES)),
        agent=fields.need("agent", "agent", _text_of(MAX_TEXT)),
        notes=fields.some("notes", "notes", _notes),
    )
    fields.finish()
    if request.posture is not None and request.posture_digest is not None:
        raise fields.place.refuse("posture or posture_digest expected, found both")
    return request


def encode_conclusion(result: AttestationResult, keeps_down: Sequence[str]) -> Encoded:
    """What a node is told of its result, as a member of a reply; keeps_down: what keeps the next level from holding."""
    said: dict[Key, object] = {
        "level": result.level,
        "state": result.state.value,
        "contraindicated": result.contraindicated,
        "keeps_down": list(keeps_down),
    }
    return Encoded(encode_cbor(said))


def encode_reply(body: Mapping[Key, object], offer: Offer | None = None) -> bytes:
    """A reply, with the next challenge where there is one."""
    return encode_cbor(dict(body) | ({} if offer is None else _offer(offer)))


def _offer(offer: Offer) -> dict[Key, object]:
    challenge: dict[Key, object] = {
        "nonce": offer.nonce,
        "banks": _banks(offer.banks),
        "expires_in": offer.expires_in,
    }
    if offer.held is not None:
        held = offer.held
        challenge["held"] = {
            "reset_count": held.reset_count,
            "restart_count": held.restart_count,
            "ima_entries": held.ima_entries,
        } | ({} if held.posture_digest is None else {"posture_digest": held.posture_digest})
    return {"challenge": challenge, "due_in": max(0, round(offer.due_in))}


@cache
def _banks(banks: tuple[HashAlg, ...]) -> Encoded:
    """The selection that is asked for, all PCRs of these banks: the same for nearly every node."""
    return Encoded(encode_cbor({int(bank): list(range(PCR_COUNT)) for bank in banks}))


def _opened(raw: bytes, what: str) -> tuple[Fields, int]:
    fields = Fields(decode_cbor(raw, most_items=MAX_ITEMS), Place(what))
    version = fields.need("version", "version", unsigned)
    if version not in SPOKEN:
        spoken = " or ".join(map(str, sorted(SPOKEN)))
        raise DecodeError(f"{what}.version", 0, f"version {spoken} of the protocol expected, found {version}")
    return fields, version


def _text_of(most: int) -> Read[str]:
    """Text of at most so many characters."""

    def read(value: object, place: Place) -> str:
        found = text(value, place)
        if len(found) > most:
            raise place.refuse(f"at most {most} characters expected, found {len(found)}")
        return found

    return read


def _name(value: object, place: Place) -> str:
    found = text(value, place)
    if not 0 < len(found) <= MAX_NAME or not NAME_LETTERS.issuperset(found):
        raise place.refuse(f"1 to {MAX_NAME} characters of A-Z a-z 0-9 . _ - expected")
    return found


def _by_number(read: Read[Found], *, most: int) -> Read[dict[int, Found]]:
    """A map from numbers to one kind of value."""

    def read_all(value: object, place: Place) -> dict[int, Found]:
        if not isinstance(value, Map):
            raise place.refuse(f"a map expected, found {kind(value)}")
        if len(value) > most:
            raise place.refuse(f"at most {most} members expected, found {len(value)}")
        return {unsigned(key, place): read(member, place.at(key)) for key, member in value.items()}

    return read_all


def _boot(value: object, place: Place) -> SentBoot:
    fields = Fields(value, place)
    others = fields.some("other_boot_logs", "other_boot_logs", many(octets, least=0))
    if len(others) > MAX_OTHER_LOGS:
        raise place.refuse(f"at most {MAX_OTHER_LOGS} other boot logs expected, found {len(others)}")
    boot = SentBoot(
        boot_log=fields.maybe("boot_log", "boot_log", octets),
        launch_log=fields.maybe("launch_log", "launch_log", octets),
        command_line=fields.maybe("command_line", "command_line", octets),
        other_boot_logs=others,
    )
    fields.finish()
    return boot


def _ima(value: object, place: Place) -> SentIma:
    fields = Fields(value, place)
    ima = SentIma(first=fields.need("first", "first", unsigned), entries=fields.need("entries", "entries", octets))
    fields.finish()
    return ima


def _posture(value: object, place: Place) -> bytes:
    """A document that could be read: one that is larger never is, and is not kept either."""
    found = octets(value, place)
    if len(found) > MAX_DOCUMENT:
        raise place.refuse(f"at most {MAX_DOCUMENT} bytes expected, found {len(found)}")
    return found


def _notes(value: object, place: Place) -> tuple[str, ...]:
    notes = many(_text_of(MAX_TEXT), least=0)(value, place)
    if len(notes) > MAX_NOTES:
        raise place.refuse(f"at most {MAX_NOTES} notes expected, found {len(notes)}")
    return notes
