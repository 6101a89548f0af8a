"""Result keys in a PKCS#11 token: found by label, named by their CKA_ID, made and used there; none ever leaves it.

A key that the service makes has the time it was made as its CKA_ID, in decimal digits; one with another id counts as
older than all of those. Tokens are spoken to one call after the other: C_Initialize promises it to them. The package
behind it is an extra of the installation: import this module where a token is wanted, and only there.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, PKCS11Error
from pkcs11.types import PublicKey, Session, SignMixin, Slot, Token

from bartizan.connectors.pkcs11.place import KeyPlace, read_pin
from bartizan.errors import ConfigError, ConnectorError
from bartizan.formats.ear import EarKey

Found = TypeVar("Found")
P256 = bytes.fromhex("06082a8648ce3d030107")
"""CKA_EC_PARAMS: the curve's object identifier in DER (PKCS#11 2.40, 2.3.3)."""
WRAPPED = b"\x04\x41"
"""CKA_EC_POINT is a DER OCTET STRING around the point's 65 bytes; older tokens leave it out."""
POINT = 65
TRIAL = b"trial"
PIN_FAULTS = (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid, pkcs11.PinLocked, pkcs11.PinExpired)
_one_at_a_time = threading.RLock()


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key in the token. public: as the token has it beside the private one."""

    store: "TokenKeys"
    identifier: bytes
    public: EllipticCurvePublicKey

    def sign(self, message: bytes) -> bytes:
        """As `formats.ear.EarKey` says: CKM_ECDSA gives r and s as JOSE wants them.

        Raises:
            ConfigError, ConnectorError: the token does not sign.
        """
        return self.store.signed(self.identifier, message)


@dataclass(slots=True)
class TokenKeys:
    """The keys of one label in one token."""

    place: KeyPlace
    _session: Session | None = None
    _lost: bool = False
    _refused: bytes | None = field(default=None, repr=False)

    @property
    def fixed(self) -> str | None:
        """None: keys are made in the token."""
        return None

    def every(self) -> list[tuple[int, EarKey]]:
        """As `KeyStore` says.

        Raises:
            ConfigError: the token, the PIN or a key is not as the settings say. ConnectorError: the token fails.
        """
        return self._asked(self._listed)

    def make(self, made: int) -> None:
        """Another key; it is sensitive and cannot be taken out of the token.

        Raises:
            ConfigError, ConnectorError: as for `every`.
        """
        self._asked(lambda session: self._generated(session, b"%015d" % made, store=True))

    def proof(self) -> EarKey:
        """The newest key, or one that goes with this session and shows what the token can do.

        Raises:
            ConfigError, ConnectorError: as for `every`.
        """
        there = self.every()
        return there[-1][1] if there else self._asked(self._trial)

    def signed(self, identifier: bytes, message: bytes) -> bytes:
        """The signature of one of the keys.

        Raises:
            ConfigError, ConnectorError: as for `every`.
        """
        digest = hashlib.sha256(message).digest()

        def sign(session: Session) -> bytes:
            return self._private(session, identifier).sign(digest, mechanism=Mechanism.ECDSA)

        return self._asked(sign)

    def _listed(self, session: Session) -> list[tuple[int, EarKey]]:
        named = {Attribute.LABEL: self.place.label}
        private = session.get_objects(named | {Attribute.CLASS: ObjectClass.PRIVATE_KEY})
        public = session.get_objects(named | {Attribute.CLASS: ObjectClass.PUBLIC_KEY})
        points = {bytes(key[Attribute.ID]): key for key in public if isinstance(key, PublicKey)}
        found: list[tuple[int, TokenKey]] = []
        for identifier in [bytes(key[Attribute.ID]) for key in private]:
            if identifier not in points:
                raise ConfigError(f"trust.pkcs11: the key {self._shown(identifier)} has no public key beside it")
            found.append((_made(identifier), TokenKey(self, identifier, _point(points[identifier], identifier))))
        return [(made, key) for made, key in sorted(found, key=lambda one: (one[0], one[1].identifier))]

    def _generated(self, session: Session, identifier: bytes, *, store: bool) -> PublicKey:
        parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: P256}, local=True)
        public, _ = parameters.generate_keypair(
            id=identifier,
            label=self.place.label,
            store=store,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )
        return public

    def _trial(self, session: Session) -> TokenKey:
        return TokenKey(self, TRIAL, _point(self._generated(session, TRIAL, store=False), TRIAL))

    def _private(self, session: Session, identifier: bytes) -> SignMixin:
        wanted = {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.LABEL: self.place.label,
            Attribute.ID: identifier,
        }
        keys = [key for key in session.get_objects(wanted) if isinstance(key, SignMixin)]
        if len(keys) != 1:
            raise ConfigError(f"trust.pkcs11: one key {self._shown(identifier)} expected, found {len(keys)}")
        return keys[0]

    def _shown(self, identifier: bytes) -> str:
        return f"{self.place.label} with id {identifier.hex()} in token {self.place.token}"

    def _asked(self, ask: Callable[[Session], Found]) -> Found:
        """What the token answers; a session that it has lost, by a restart say, is opened once more before."""
        with _one_at_a_time:
            try:
                if self._session is not None and not _lives(self._session):
                    self._session, self._lost = None, True
                if self._session is None:
                    self._session = self._opened()
                return ask(self._session)
            except PKCS11Error as error:
                self._session, self._lost = None, True
                why = f"{type(error).__name__} {error}".strip()
                place = f"the PKCS#11 token {self.place.token} ({self.place.module})"
                raise ConnectorError(f"{place} does not answer: {why}") from error

    def _opened(self) -> Session:
        pin = read_pin(self.place.pin_file)
        digest = hashlib.sha256(pin.encode()).digest()
        if digest == self._refused:
            raise ConfigError(f"{self._pin_refused()}; it is not tried again, so that the token is not locked")
        library = pkcs11.lib(str(self.place.module))
        if self._lost:  # by the token's restart, say: some libraries find their way back only from the beginning
            library.reinitialize()
            self._lost = False
        token = self._token(library.get_slots(token_present=True))
        try:
            return token.open(rw=True, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:  # by this process; the login counts for all of its sessions
            return token.open(rw=True)
        except PIN_FAULTS as error:
            self._refused = digest
            raise ConfigError(f"{self._pin_refused()} ({type(error).__name__})") from error

    def _token(self, slots: Iterable[Slot]) -> Token:
        tokens: list[Token] = [slot.get_token() for slot in slots]
        found = [token for token in tokens if token.label == self.place.token]
        if len(found) != 1:
            there = ", ".join(repr(token.label) for token in tokens) or "none"
            raise ConfigError(
                f"trust.pkcs11.token: one token {self.place.token!r} expected, found {len(found)}; there are {there}"
            )
        return found[0]

    def _pin_refused(self) -> str:
        return f"trust.pkcs11.pin_file: the token {self.place.token} refuses the PIN in {self.place.pin_file}"


def _lives(session: Session) -> bool:
    """The token still knows this session: asked with a call that changes nothing."""
    try:
        session.generate_random(8)
    except pkcs11.RandomNoRNG:
        return True
    except PKCS11Error:
        return False
    return True


def _made(identifier: bytes) -> int:
    return int(identifier) if len(identifier) == len(b"%015d" % 0) and identifier.isdigit() else 0


def _point(key: PublicKey, identifier: bytes) -> EllipticCurvePublicKey:
    """The public key of an object of the token.

    Raises:
        ConfigError: it is none on P-256.
    """
    try:
        curve, raw = bytes(key[Attribute.EC_PARAMS]), bytes(key[Attribute.EC_POINT])
        if curve == P256:
            return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw[-POINT:] if raw[:2] == WRAPPED else raw)
    except (PKCS11Error, KeyError, ValueError):
        pass
    raise ConfigError(f"trust.pkcs11: the key with id {identifier.hex()}: a key on the curve P-256 expected")
