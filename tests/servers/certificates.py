"""A certificate authority for the tests, and what a test needs it to sign: good, expired, wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A server's certificate as files, in the forms that the servers ask for."""

    chain_file: Path  # the certificate, then that of the authority
    key_file: Path
    combined_file: Path  # key and chain in one file: what ejabberd reads
    ca_file: Path  # trust this to accept the certificate


class Authority:
    """Signs certificates for servers of the tests. One lives as long as the test session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("jabot test authority")
        now = datetime.now(UTC)
        self._certificate = (
            _builder(self._name, self._name, self._key, now - _DAY, now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(_pem(self._certificate))

    def good(self) -> Certificate:
        """One that a client which trusts `ca_file` accepts for the domain `localhost`."""
        return self._issue("good", ["localhost", "*.localhost"])

    def expired(self) -> Certificate:
        """One whose time ran out an hour ago."""
        return self._issue("expired", ["localhost", "*.localhost"], ends_in=-_HOUR)

    def wrong_host(self) -> Certificate:
        """One that is sound, but was issued to another server."""
        return self._issue("wrong-host", ["elsewhere.example"], address=None)

    def _issue(
        self,
        label: str,
        hosts: Sequence[str],
        *,
        ends_in: timedelta = 30 * _DAY,
        address: str | None = "127.0.0.1",
    ) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
        if address:
            names.append(x509.IPAddress(ip_address(address)))
        certificate = (
            _builder(_name(hosts[0]), self._name, key, now - _DAY, now + ends_in)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return self._write(label, certificate, key)

    def _write(
        self, label: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> Certificate:
        chain = _pem(certificate) + _pem(self._certificate)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        files = Certificate(
            chain_file=self._folder / f"{label}-chain.pem",
            key_file=self._folder / f"{label}-key.pem",
            combined_file=self._folder / f"{label}.pem",
            ca_file=self.ca_file,
        )
        for path, content in (
            (files.chain_file, chain),
            (files.key_file, secret),
            (files.combined_file, secret + chain),
        ):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return files


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    """Python 3.13 and later refuse an authority that does not say that it may sign."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
