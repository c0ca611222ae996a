"""Content Credentials (C2PA 2.2), signed with a key of this device, without any network (extra `c2pa`).

No authority has certified the key, so readers call the signature valid but not trusted: it shows that a file was not
changed since it was signed, not who signed it.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camera_nano.files import mpf
from camera_nano.files.marking import SOURCE_TYPES
from camera_nano.files.metadata import SOFTWARE
from camera_nano.files.ultrahdr import fix_mpf
from camera_nano.formats import FORMATS
from camera_nano.paths import data_dir

if TYPE_CHECKING:
    from cryptography import x509

CREDENTIALS = b"jumdc2pa"  # a C2PA manifest store begins so (ISO 19566-5, A.3)
_KEY_FILE = "signing.pem"
_VALIDITY = timedelta(days=30 * 365)
_OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {
        "thumbnail": {"enabled": False}
    },  # it would take tens of kilobytes, and still show what somebody may cut out of the picture later
}
_MOST_ROUNDS = 4

Key = tuple[str, str]  # private key and certificates, PEM


def sign(
    data: bytes,
    format: str,
    *,
    title: str,
    source_type: str | None,
    original: bytes,
    original_format: str,
    key: Key | None = None,
) -> bytes:
    """A finished file -> the file with a signed statement of what it was made from, and how. Any later edit breaks it.

    Args:
        data: the file, of `format`; the index of the pictures inside a JPEG file stays right.
        format: a name in `FORMATS`.
        title: the name of the file.
        source_type: IPTC's word for how the picture was made; None where the pixels were not changed.
        original: the file that it was made from. Credentials in it are taken along.
        original_format: of that file.
        key: as `own_key` gives it, which is also the default.

    Raises:
        ValueError: the extra is not installed, or the file cannot be signed; one line that says what to do.
        OSError: the key cannot be read or written.
    """
    c2pa = require()
    private, chain = key or own_key()
    manifest = _manifest(title, source_type)
    for _ in range(_MOST_ROUNDS):
        try:
            # no time stamp: it would come from a server
            signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", chain.encode(), private.encode(), None))
            signed = _signed(
                c2pa, signer, manifest, data, FORMATS[format].mime, original, FORMATS[original_format].mime
            )
        except c2pa.C2paError as error:
            raise ValueError(f"{title} cannot be signed ({error}): leave out --sign") from error
        right = fix_mpf(signed)
        if right == signed:
            return signed
        # signing moved the pictures; the next signature has the same length, so the index can be corrected beforehand
        data = _with_index_of(right, data)
    raise ValueError(f"{title} cannot be signed (its pictures never come to rest): leave out --sign")


def require() -> Any:
    """Import the library that signs. Raises ValueError, which names the extra, if it is not installed."""
    try:
        import c2pa
        import cryptography  # noqa: F401
    except ImportError as error:
        raise ValueError(f'signing needs {error.name}: pip install "camera-nano[c2pa]"') from error
    return c2pa


def _manifest(title: str, source_type: str | None) -> dict[str, Any]:
    """What was done, as the actions of C2PA 2.2, 18.15."""
    name, _, version = SOFTWARE.partition(" ")
    agent = {"name": name, "version": version}
    edited: dict[str, Any] = {"action": "c2pa.edited", "softwareAgent": agent}
    if source_type:
        edited["digitalSourceType"] = SOURCE_TYPES + source_type
    return {
        "title": title,
        "claim_generator_info": [agent],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [edited]}}],
    }


def _signed(
    c2pa: Any, signer: Any, manifest: dict[str, Any], data: bytes, mime: str, original: bytes, original_mime: str
) -> bytes:
    out = io.BytesIO()
    with c2pa.Context(c2pa.Settings.from_dict(_OFFLINE), signer) as context, c2pa.Builder(manifest, context) as builder:
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        parent = {"title": "original", "relationship": "parentOf"}
        builder.add_ingredient(parent, original_mime, io.BytesIO(original))
        builder.sign(mime, io.BytesIO(data), out)
    return out.getvalue()


def _with_index_of(right: bytes, data: bytes) -> bytes:
    """The unsigned file `data` with the index that is right for the signed one; its places count from the index."""
    there, here = mpf.read_index(right), mpf.read_index(data)
    if there is None or here is None:
        raise ValueError("a JPEG lost its index of pictures")
    shift = here.base - there.base
    return mpf.write_index(
        data,
        [
            (e.start + shift if e.start else 0, e.start + shift + e.length if e.start else e.length)
            for e in there.entries
        ],
    )


def own_key() -> Key:
    """The private key and certificates of this device, made on first use, and again when they have expired.

    Raises:
        ValueError: the extra is not installed, or the file is no key.
        OSError: it cannot be read or written.
    """
    require()
    return _key_in(data_dir() / _KEY_FILE)


def _key_in(path: Path) -> Key:
    from cryptography import x509

    with contextlib.suppress(FileNotFoundError):
        text = path.read_text(encoding="ascii")
        key, mark, certificates = text.partition("-----BEGIN CERTIFICATE-----")
        try:
            leaf = x509.load_pem_x509_certificates((mark + certificates).encode())[0]
        except ValueError as error:
            raise ValueError(f"{path} is not a key of camera_nano: take it away, and a new one is made") from error
        if leaf.not_valid_before_utc <= datetime.now(UTC) < leaf.not_valid_after_utc:
            return key, mark + certificates
        path.unlink()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}.tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(_new_key())
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):  # another process was faster: its key is used
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()
    return _key_in(path)


def _new_key() -> str:
    """A key, its certificate, and that of the authority that issued it, whose key is thrown away.

    C2PA does not allow a certificate to be signed by its own key (2.2, 14.5).
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, name = _name("camera_nano device authority"), _name("camera_nano device")

    def certificate(subject: x509.Name, public: Any, *extensions: tuple[x509.ExtensionType, bool]) -> str:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(root_name, subject, public, x509.random_serial_number(), now, now + _VALIDITY)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
        for extension, critical in ((issuer, False), *extensions):
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    leaf = certificate(
        name,
        key.public_key(),
        (x509.BasicConstraints(False, None), True),
        (_key_usage("digital_signature"), True),
        (x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
    )
    root = certificate(
        root_name,
        authority.public_key(),
        (x509.BasicConstraints(True, None), True),
        (_key_usage("key_cert_sign"), True),
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return private + leaf + root


def _key_usage(allowed: str) -> x509.KeyUsage:
    from cryptography import x509

    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: name == allowed for name in names})


def _name(common: str) -> x509.Name:
    from cryptography import x509

    return x509.Name(
        [
            x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, "camera_nano"),
            x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, common),
        ]
    )
