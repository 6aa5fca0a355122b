"""A certificate that vouches for itself: how one is made, and whether one that is there will do."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFETIME: Final = timedelta(days=3652)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def make_self_signed(domain: str, now: datetime) -> tuple[bytes, bytes]:
    """A new key and a certificate for `domain` and loopback, both in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    # The subject's common name is limited to 64 characters; what counts is the alternative name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ascii(domain)[:64])])
    names = [_alternative_name(each) for each in dict.fromkeys((domain, *_LOOPBACK))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A client whose clock is a little behind must not find it not yet valid.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key_pem, certificate.public_bytes(serialization.Encoding.PEM)


def _alternative_name(domain: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(domain))
    except ValueError:
        return x509.DNSName(_ascii(domain))


def is_good(path: Path, domain: str) -> bool:
    """Whether the certificate there can be used: one that we made may have expired, or be for
    another domain.
    """
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    if certificate.issuer != certificate.subject:
        return True  # not one of ours, so not ours to replace
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        return False
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return _alternative_name(domain) in list(found)


def _ascii(domain: str) -> str:
    """A domain as certificates spell it."""
    return domain if domain.isascii() else domain.encode("idna").decode("ascii")
