"""TLS towards etcd, with certificates made here."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.store.etcd.client import EtcdClient
from services.store.etcd.endpoints import Tls
from services.store.etcd.errors import Ambiguous, Unavailable
from services.store.etcd.transactions import read
from tests.etcd.servers import members


@dataclass
class Authority:
    """A certificate authority of one test."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        builder = _builder(name, name, key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        return cls(key, builder.sign(key, SHA256()))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(self, name: str) -> tuple[bytes, bytes]:
        """Return a certificate for the loopback address and its key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            _builder(subject, self.certificate.subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self.key, SHA256())
        )
        return (
            certificate.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    today = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
    )


async def test_tls_lets_in_who_shows_a_certificate_and_nobody_else(
    tmp_path: Path, prefix: bytes
) -> None:
    """Both sides prove themselves; a stranger, a plain client and a false server get nowhere."""
    authority, stranger = Authority.make(), Authority.make()
    certificate, key = authority.issue("etcd")
    for name, pem in (("ca", authority.pem), ("cert", certificate), ("key", key)):
        (tmp_path / name).write_bytes(pem)
    arguments = (
        *("--cert-file", str(tmp_path / "cert"), "--key-file", str(tmp_path / "key")),
        *("--trusted-ca-file", str(tmp_path / "ca"), "--client-cert-auth"),
    )
    mine = Tls(authority.pem, *authority.issue("store"))
    async with members(1, *arguments, scheme="https") as (member,):
        async with EtcdClient([member.address], tls=mine) as client, asyncio.timeout(30):
            while True:
                try:
                    start = (await client.put(prefix, b"mine")).header.revision
                    break
                except Ambiguous:
                    await asyncio.sleep(0.05)
            async with client.watch(prefix, start_revision=start) as watch:
                assert (await anext(watch)).events[0].kv.value == b"mine"
            lease = (await client.lease_grant(60)).ID
            assert await client.keep_alive(lease) == 60
        for tls in (
            None,
            Tls(authority.pem),
            Tls(authority.pem, *stranger.issue("store")),
            Tls(stranger.pem, *authority.issue("store")),
        ):
            async with EtcdClient([member.address], tls=tls) as client:
                with pytest.raises(Unavailable):
                    await client.range(read(prefix), within=3)
