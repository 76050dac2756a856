"""The client of the etcd that Store's settings name."""

from __future__ import annotations

from services.store.etcd.client import EtcdClient
from services.store.etcd.endpoints import Tls
from services.store.etcd.login import Credentials
from services.store.settings import StoreSettings


def client_of(settings: StoreSettings) -> EtcdClient:
    """Return a client of that etcd; it connects with its first call."""
    return EtcdClient(
        [str(endpoint) for endpoint in settings.etcd_endpoints],
        tls=_tls(settings),
        credentials=_credentials(settings),
    )


def _tls(settings: StoreSettings) -> Tls | None:
    if settings.etcd_ca is None:
        return None
    return Tls(
        ca=settings.etcd_ca.read_bytes(),
        certificate=settings.etcd_cert.read_bytes() if settings.etcd_cert else None,
        key=settings.etcd_key.read_bytes() if settings.etcd_key else None,
    )


def _credentials(settings: StoreSettings) -> Credentials | None:
    if settings.etcd_username is None or settings.etcd_password_file is None:
        return None
    return Credentials(settings.etcd_username, settings.etcd_password_file)
