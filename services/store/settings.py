"""What Store is told by its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from services.serving import certificates
from services.serving.addresses import HostPort
from services.serving.limits import LimitedSettings
from services.serving.settings import PREFIX, Address, Addresses, ExistingFile, expected


def _existing_folder(value: object) -> Path:
    path = Path(str(value))
    if not path.is_dir():
        raise expected("must be the path of a folder")
    return path


class StoreSettings(LimitedSettings):
    """Settings of Store.

    Attributes:
        etcd_endpoints: the members of etcd, in the order in which they are tried.
        etcd_namespace: stands before every key.
        etcd_ca: when set, etcd is spoken to over TLS and must show a certificate of this authority.
        etcd_cert, etcd_key: what Store shows to etcd; both or neither.
        etcd_username, etcd_password_file: who Store is to etcd; both or neither. The file holds the
            password, and is read for each login, so it may change.
        etcd_quota_bytes: the quota of etcd's database, where etcd (before 3.6) does not tell it.
        lease_ttl_seconds: how long a Live instance outlives its last heartbeat.
        workflows_dir: the folder of the workflows' files.
        default_workflow: the id of the workflow of sessions that name none.
    """

    listen: Address = HostPort("127.0.0.1", 7201)
    etcd_endpoints: Addresses = Field(min_length=1)
    etcd_namespace: str = ""
    etcd_ca: ExistingFile | None = None
    etcd_cert: ExistingFile | None = None
    etcd_key: ExistingFile | None = Field(default=None, validate_default=True)
    etcd_username: str | None = None
    etcd_password_file: ExistingFile | None = Field(default=None, validate_default=True)
    etcd_quota_bytes: int = Field(default=8 * 2**30, ge=2**20)
    lease_ttl_seconds: int = Field(default=5, ge=2, le=60)
    workflows_dir: Annotated[Path, BeforeValidator(_existing_folder)] = Field(
        default=Path("workflows"), validate_default=True
    )
    default_workflow: str = "master-workflow-v2"

    @field_validator("etcd_ca")
    @classmethod
    def _is_the_authority_of_etcd(cls, value: Path | None) -> Path | None:
        if value is not None and not certificates.is_authority(value):
            raise expected("must hold PEM certificates")
        return value

    @field_validator("etcd_key")
    @classmethod
    def _key_fits_the_certificate_for_etcd(
        cls, value: Path | None, info: ValidationInfo
    ) -> Path | None:
        if "etcd_cert" not in info.data or "etcd_ca" not in info.data:
            return value
        certificate: Path | None = info.data["etcd_cert"]
        if (value is None) != (certificate is None):
            raise expected(f"it and {PREFIX}ETCD_CERT must be set together")
        if value is None or certificate is None:
            return value
        if info.data["etcd_ca"] is None:
            raise expected(f"needs {PREFIX}ETCD_CA")
        if not certificates.is_pair(certificate, value):
            raise expected(f"must be the PEM key of {PREFIX}ETCD_CERT")
        return value

    @field_validator("etcd_password_file")
    @classmethod
    def _a_user_has_a_password(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "etcd_username" not in info.data:
            return value
        if (value is None) != (info.data["etcd_username"] is None):
            raise expected(f"it and {PREFIX}ETCD_USERNAME must be set together")
        if value is not None and not value.read_bytes().rstrip(b"\r\n"):
            raise expected("must hold a password")
        return value
