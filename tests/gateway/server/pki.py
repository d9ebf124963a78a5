"""Certificates that the tests make for themselves, and clients that trust them."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.server.certificates import Pair


@dataclass
class Authority:
    """Issues certificates into a folder. Each is told by its serial number."""

    folder: Path

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        now = datetime.now(UTC)
        certificate = (
            self._certificate(self._name, now - timedelta(days=1), now + timedelta(days=30))
            .public_key(self._key.public_key())
            .serial_number(1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = self.folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def _certificate(self, subject: x509.Name, begin: datetime, end: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .not_valid_before(begin)
            .not_valid_after(end)
        )

    def pair(self, file: str) -> Pair:
        return Pair(self.folder / f"{file}.pem", self.folder / f"{file}.key")

    def issue(
        self,
        file: str,
        *names: str,
        serial: int = 1000,
        begin: timedelta = timedelta(days=-1),
        life: timedelta = timedelta(days=30),
        passphrase: bytes | None = None,
    ) -> Pair:
        """Write ``{file}.pem`` and ``{file}.key``, in place of what was there, for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        begins = datetime.now(UTC) + begin
        built = (
            self._certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]), begins, begins + life)
            .public_key(key.public_key())
            .serial_number(serial)
        )
        if names:
            built = built.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        pair = self.pair(file)
        pair.certificate.write_bytes(built.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        pair.key.chmod(0o600)
        return pair

    def client(self, *, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
        """A client that trusts this authority and no other."""
        context = ssl.create_default_context(cafile=str(self.file))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def serial(peer: ssl.SSLObject | ssl.SSLSocket) -> int:
    """Of the certificate that the other side showed."""
    shown = peer.getpeercert(True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number
