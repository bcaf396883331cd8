"""How an app proves itself in its own name: a certificate with its private key, or a secret (provider-contract 3.6). Read strictly,
because whoever holds it may open a whole tenant's mail; what is wrong is said without quoting it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from connectors.errors import OperatorFault
from connectors.microsoft.config import SHARED_TENANTS

KIND = "microsoft_app"
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.S)
_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?", re.I)


def app_key(client_id: str, tenant: str, *, pem: str = "", secret: str = "") -> str:
    """An app's key as ``MicrosoftTeam`` takes it: a certificate and its private key in one PEM text, else a secret. Raises
    OperatorFault."""
    key = {"type": KIND, "client_id": client_id.strip(), "tenant": tenant.strip().lower()}
    if pem:
        private, certificate = _pair(pem)
        key |= {"private_key": private, "certificate": certificate}
    else:
        key |= {"client_secret": secret.strip()}
    return json.dumps(checked_key(key))


def read_key(text: str) -> dict[str, str]:
    """The reverse. Raises OperatorFault."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("type") != KIND:
        raise _wrong(
            "This is no key of a Microsoft app. Name its tenant and certificate: --tenant, --certificate-file."
        )
    return checked_key({str(name): str(value) for name, value in found.items()})


def checked_key(key: dict[str, str]) -> dict[str, str]:
    """The key, if it can be used. Raises OperatorFault."""
    if not key.get("client_id"):
        raise _wrong("Which app? Set MICROSOFT_CLIENT_ID, or name it with --client-id.")
    tenant = key.get("tenant", "")
    if not _TENANT.fullmatch(tenant) or tenant in SHARED_TENANTS:
        raise _wrong("Which organisation? Name its tenant id (Entra, Overview) or its domain with --tenant.")
    if not key.get("private_key") and not key.get("client_secret"):
        raise _wrong(
            "The app has to prove itself: --certificate-file (better), --client-secret-file or MICROSOFT_CLIENT_SECRET."
        )
    return key


def _pair(pem: str) -> tuple[str, str]:
    """The private key and the certificate of a PEM text, which belong together."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    blocks = {found.group(1): found.group(0) for found in _BLOCK.finditer(pem)}
    private = next((text for name, text in blocks.items() if name.endswith("PRIVATE KEY")), "")
    certificate = blocks.get("CERTIFICATE", "")
    if not private or not certificate:
        raise _wrong("The certificate file must hold both, the certificate and its private key, as PEM.")
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
        secret = load_pem_private_key(private.encode(), password=None)
        plain = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        fits = secret.public_key().public_bytes(*plain) == found.public_key().public_bytes(*plain)
    except Exception:  # noqa: BLE001  (every library of cryptography has its own way to say so, and may quote the key)
        raise _wrong("The certificate file cannot be read: PEM, without a passphrase, is needed.") from None
    if not fits:
        raise _wrong("The private key in the certificate file does not belong to the certificate.")
    if found.not_valid_after_utc < datetime.now(UTC):
        raise _wrong("The certificate has run out. Make a new one and upload it in Entra (Certificates & secrets).")
    return private, certificate


def _wrong(sentence: str) -> OperatorFault:
    return OperatorFault("key_file", sentence)
