"""The server's certificate: self-signed, made on first use, kept in the data directory."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFETIME: Final = timedelta(days=3652)
_LOOPBACK_NAMES: Final = ("localhost",)
_LOOPBACK_ADDRESSES: Final = ("127.0.0.1", "::1")


class Certificate:
    """Gives the TLS context of one domain. `data` is a directory; None keeps nothing."""

    def __init__(self, domain: str, data: Path | None) -> None:
        self._domain = domain
        self._data = data
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """The context for the server's side; made once, with the certificate if need be."""
        if self._context is None:
            if self._data is not None:
                self._context = self._load(self._data)
            else:
                # OpenSSL reads key and certificate from files only.
                with tempfile.TemporaryDirectory() as folder:
                    self._context = self._load(Path(folder))
        return self._context

    def _load(self, folder: Path) -> ssl.SSLContext:
        certificate, key = folder / "cert.pem", folder / "key.pem"
        if not (key.exists() and _is_good(certificate, self._domain)):
            key_pem, certificate_pem = make_self_signed(self._domain, datetime.now(UTC))
            _write_private(key, key_pem)
            _write_private(certificate, certificate_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        return context


def make_self_signed(domain: str, now: datetime) -> tuple[bytes, bytes]:
    """A new key and a certificate for `domain` and loopback, both in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    # The subject's common name is limited to 64 characters; what counts is the alternative name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ascii(domain)[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A client whose clock is a little behind must not find it not yet valid.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(domain)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key_pem, certificate.public_bytes(serialization.Encoding.PEM)


def _alternative_names(domain: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    try:
        names.append(x509.IPAddress(ipaddress.ip_address(domain)))
    except ValueError:
        names.append(x509.DNSName(_ascii(domain)))
    names += [x509.DNSName(each) for each in _LOOPBACK_NAMES if each != domain]
    names += [
        x509.IPAddress(ipaddress.ip_address(each)) for each in _LOOPBACK_ADDRESSES if each != domain
    ]
    return names


def _is_good(path: Path, domain: str) -> bool:
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
    return _alternative_names(domain)[0] in list(found)


def _ascii(domain: str) -> str:
    """A domain as certificates spell it."""
    return domain if domain.isascii() else domain.encode("idna").decode("ascii")


def _write_private(path: Path, content: bytes) -> None:
    """Readable by nobody else at any moment, and never half written."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(temporary).replace(path)
