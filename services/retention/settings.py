"""What retention is told by its environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from services.serving.settings import (
    Addresses,
    ExistingFile,
    ProcessSettings,
    TokenFile,
    expected,
)


def _writable_folder(value: object) -> Path:
    path = Path(str(value))
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise expected("must be the path of a folder that this process can write to")
    return path


class RetentionSettings(ProcessSettings):
    """Settings of retention.

    Attributes:
        identity_token_file: holds this process's token, of role service; read anew when it changes.
        store_addresses, live_addresses: the replicas, in any order.
        retention_policies_file: the policies, as YAML; None: nothing is ever due.
        retention_export_dir: where a session is exported to before it is deleted; None: nowhere.
        retention_dry_run: whether what is due is only told of.
        retention_every_seconds: from the beginning of one run to that of the next.
        retention_sessions_per_second: how many sessions are deleted in a second, at most.
    """

    identity_token_file: TokenFile
    store_addresses: Addresses = Field(min_length=1)
    live_addresses: Addresses = Field(min_length=1)
    retention_policies_file: ExistingFile | None = None
    retention_export_dir: Annotated[Path, BeforeValidator(_writable_folder)] | None = None
    retention_dry_run: bool = False
    retention_every_seconds: float = Field(default=3600.0, gt=0, allow_inf_nan=False)
    retention_sessions_per_second: float = Field(default=20.0, gt=0, allow_inf_nan=False)
