"""What a server's certificate says: the names that it is for, and when (RFC 5280 section 4.2.1.6).

Here because only ``tenants`` reads X.509. The common name is no name: clients have not asked it since RFC 6125.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509


class NotACertificate(ValueError):
    """These bytes hold no certificate in PEM."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """``names`` as a ``Host`` has them, in lower case: DNS names, ``*.`` in front of a wildcard's, and addresses."""

    names: frozenset[str]
    not_before: datetime
    not_after: datetime


def read_certificate(pem: bytes) -> CertificateFacts:
    """The first certificate of a PEM file. Raises ``NotACertificate``."""
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
        names = frozenset(_names(certificate))
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise NotACertificate(str(error)) from error
    return CertificateFacts(names, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        said = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = said.get_values_for_type(x509.IPAddress)
    return [
        *(name.lower() for name in said.get_values_for_type(x509.DNSName)),
        *(f"[{address}]" if address.version == 6 else str(address) for address in addresses),
    ]
