"""Where a service is and which key it has: URL and pin as people write them, and TLS that holds the key to the pin."""

import hashlib
import hmac
import ipaddress
import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bartizan.errors import ConfigError, ConnectorError

PIN = re.compile(r"sha256:([0-9A-Fa-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """A service and who asks it. pin: of its key; None: the system's certificate authorities vouch for it."""

    url: str
    pin: str | None = None
    token: str | None = None


def checked_url(url: str) -> str:
    """A service's URL without a slash at its end; plain http is for loopback addresses only.

    Raises:
        ConfigError: it is none.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        usable = parts.scheme in {"http", "https"} and host and parts.port != 0
    except ValueError as error:
        raise ConfigError(f"service {url!a}: not a URL: {error}") from error
    if not usable or parts.query or parts.fragment or "@" in parts.netloc or not url.isprintable() or " " in url:
        raise ConfigError(f"service {url!a}: https://host[:port][/path] expected, without user, query or fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(f"service {url!a}: plain http is for loopback addresses only; use https")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whoever listens there is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_pin(pin: str) -> bytes:
    """The SHA-256 in a pin.

    Raises:
        ConfigError: it is none.
    """
    found = PIN.fullmatch(pin)
    if found is None:
        raise ConfigError(f"pin {pin!a:.90}: sha256: and 64 hexadecimal digits expected, as `bartizan serve` prints it")
    return bytes.fromhex(found.group(1))


class PinnedContext(ssl.SSLContext):
    """TLS that asks no authority: the key's hash says that it is the service. Checked before a byte of ours is sent."""

    pin = b""

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401  as it is called
        """A connection whose key was held to the pin.

        Raises:
            ConnectorError: it is another key.
        """
        sock = super().wrap_socket(*args, **options)
        try:
            self._check(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _check(self, sock: ssl.SSLSocket) -> None:
        found = hashlib.sha256(_public_key(sock.getpeercert(binary_form=True) or b"")).digest()
        if not hmac.compare_digest(found, self.pin):
            raise ConnectorError(
                f"another key answers: the pin is sha256:{self.pin.hex()}, found"
                f" sha256:{found.hex()}."
                " Nothing was sent."
                " Is it the right address? If the service's key was changed on purpose, take the new pin"
            )


def _public_key(certificate: bytes) -> bytes:
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConnectorError(f"the service's certificate cannot be read: {error}") from error


def tls_context(pin: str | None) -> ssl.SSLContext:
    """TLS 1.2 or later with this key, or with whom the system's authorities vouch for.

    Raises:
        ConfigError: the pin is none.
    """
    if pin is None:
        return ssl.create_default_context()
    context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.pin = checked_pin(pin)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
