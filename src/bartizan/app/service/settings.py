"""Settings of the service: a TOML file, every value of which has a default. `config check` shows them as understood."""

import tomllib
from pathlib import Path

import msgspec

from bartizan.errors import ConfigError

MAX_SETTINGS = 1 << 20
LOOPBACK = "127.0.0.1"
DATABASES = ("sqlite:///", "postgresql://")
LEAST_ANSWER = 10
"""Seconds that a node needs at least to answer."""


class Listen(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where the service is reached. certificate, key: PEM files; without them one is made at the first start.

    url: how agents reach it, for the lines that `token create` prints; host and port where it is empty.
    """

    host: str = LOOPBACK
    port: int = 8443
    certificate: str = ""
    key: str = ""
    url: str = ""


class Attestation(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How often nodes attest, and when one is late. Seconds.

    period: between two attestations; late: behind its due time; expired: behind its due time; nonce: lifetime beyond
    the period. full_at_once, full_waiting: full attestations judged at once and waiting; more are told to come later.
    """

    period: int = 60
    late: int = 60
    expired: int = 300
    nonce: int = 120
    enrolment: int = 300
    full_at_once: int = 2
    full_waiting: int = 32

    @property
    def nonce_lifetime(self) -> int:
        """Seconds that a challenge counts: the period, a quarter of it for agents that spread out, and `nonce`."""
        return self.period + self.period // 4 + self.nonce


class Storage(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where things are kept. database: a URL, of SQLite or PostgreSQL; a file in the data folder where it is empty.

    history_days: how long former verdicts and boots are kept; states, entries: of how many nodes all evidence is held
    in memory, and how many IMA entries in it.
    """

    database: str = ""
    history_days: int = 90
    states: int = 20_000
    entries: int = 4_000_000


class Pkcs11(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Result keys in a PKCS#11 token.

    module: the token's library, a file; token: its label; label: the keys' own; pin_file: holds the user's PIN.
    """

    module: str = ""
    token: str = ""
    label: str = "bartizan-results"
    pin_file: str = ""


class Trust(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Whom to trust. roots: a folder of TPM CAs instead of those that ship; ear_lifetime: seconds.

    keys: the folder of the service's own keys, which several Verifiers share; below the data folder where it is empty.
    ear_key: a PEM file with an EC P-256 key; pkcs11: a token instead of it; without both, keys are made and rotated.
    two_persons: whoever proposed Reference Values, or put in a policy, is not the one who puts them in force;
    nobody goes back to the shipped policy alone, or makes a token of another account.
    """

    roots: str = ""
    keys: str = ""
    ear_lifetime: int = 300
    ear_key: str = ""
    pkcs11: Pkcs11 = Pkcs11()
    two_persons: bool = False


class Audit(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where the audit is told beside the database. syslog: a socket such as /dev/log, `host` or `host:port` (UDP)."""

    syslog: str = ""


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All settings. data: the folder of keys and of the default database."""

    data: str = "/var/lib/bartizan"
    listen: Listen = Listen()
    attestation: Attestation = Attestation()
    storage: Storage = Storage()
    trust: Trust = Trust()
    audit: Audit = Audit()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)

    @property
    def keys(self) -> Path:
        """The folder of the service's own keys."""
        return Path(self.trust.keys) if self.trust.keys else self.folder / "keys"

    @property
    def database_url(self) -> str:
        """Where the database is."""
        return self.storage.database or f"sqlite:///{self.folder / 'bartizan.db'}"


def read_settings(path: Path | None) -> Settings:
    """The settings in a file, or the defaults.

    Raises:
        ConfigError: it cannot be read, or says something that no setting is.
    """
    if path is None:
        return Settings()
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_SETTINGS).decode()
        found = msgspec.convert(tomllib.loads(text), Settings, strict=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error
    _check(found, str(path))
    return found


def _check(settings: Settings, source: str) -> None:
    """Numbers that make no sense together.

    Raises:
        ConfigError: the first of them.
    """
    every = settings.attestation
    if min(every.period, every.late, every.full_at_once, every.full_waiting) < 1:
        raise ConfigError(f"{source}: attestation: period, late, full_at_once and full_waiting are at least 1")
    if min(every.nonce, every.enrolment) < LEAST_ANSWER:
        raise ConfigError(f"{source}: attestation.nonce and attestation.enrolment are at least {LEAST_ANSWER} seconds")
    if every.expired < every.late:
        raise ConfigError(f"{source}: attestation.expired: at least attestation.late ({every.late}) expected")
    if not 0 < settings.listen.port <= 65535:  # noqa: PLR2004  the highest port
        raise ConfigError(f"{source}: listen.port: 1 to 65535 expected, found {settings.listen.port}")
    if bool(settings.listen.certificate) != bool(settings.listen.key):
        raise ConfigError(f"{source}: listen.certificate and listen.key go together; one of them is missing")
    _check_places(settings, source)


def _check_places(settings: Settings, source: str) -> None:
    """Files and addresses that are not there.

    Raises:
        ConfigError: the first of them.
    """
    listen, trust = settings.listen, settings.trust
    for name, value in (
        ("listen.certificate", listen.certificate),
        ("listen.key", listen.key),
        ("trust.ear_key", trust.ear_key),
        ("trust.pkcs11.module", trust.pkcs11.module),
        ("trust.pkcs11.pin_file", trust.pkcs11.pin_file),
    ):
        if value and not Path(value).is_file():
            raise ConfigError(f"{source}: {name}: {value} is no file")
    _check_token(trust, source)
    if trust.roots and not Path(trust.roots).is_dir():
        raise ConfigError(f"{source}: trust.roots: {trust.roots} is no folder")
    if settings.storage.database and not settings.storage.database.startswith(DATABASES):
        raise ConfigError(f"{source}: storage.database: a URL that begins with {' or '.join(DATABASES)} expected")
    if listen.url and not listen.url.startswith(("https://", "http://")):
        raise ConfigError(f"{source}: listen.url: a URL that begins with https:// expected, found {listen.url}")


def _check_token(trust: Trust, source: str) -> None:
    """A PKCS#11 token that is half named, or named beside another key.

    Raises:
        ConfigError: it is.
    """
    token = trust.pkcs11
    given = [bool(token.module), bool(token.token), bool(token.pin_file)]
    if any(given) and not all([*given, token.label]):
        raise ConfigError(f"{source}: trust.pkcs11: module, token, label and pin_file go together; one is missing")
    if token.module and trust.ear_key:
        raise ConfigError(f"{source}: trust.ear_key and trust.pkcs11 both name the key that signs results; take one")
