"""What Live is told by its environment."""

from __future__ import annotations

from pydantic import Field

from services.serving.addresses import HostPort
from services.serving.limits import LimitedSettings
from services.serving.settings import Address, Addresses, TokenFile


class LiveSettings(LimitedSettings):
    """Settings of Live.

    Attributes:
        identity_token_file: holds this part's own token, of role live.
        store_addresses: the Stores, in the order in which they are tried.
        advertise: where the other parts reach this one; where it listens, unless set.
        idle_seconds: how long a session that nobody uses stays in memory.
        stale_seconds: how long one that nothing changes does, whoever is attached.
        attached_sessions: how many sessions one stream may attach.
        answer_seconds: how long a change may take before its caller hears that it is not known.
        rebalance_after_seconds: how long the living instances must be the same ones before sessions
            move to where they are placed then.
        rebalance_per_second: how many of them move in a second.
        changes_per_second, changes_burst: per user and process, before RATE_LIMITED.
        service_changes_per_second, service_changes_burst: the same for each service.
        joins_per_minute: joins by links, per caller and process, before RATE_LIMITED.
    """

    listen: Address = HostPort("127.0.0.1", 7301)
    identity_token_file: TokenFile
    store_addresses: Addresses = Field(min_length=1)
    advertise: Address | None = None
    idle_seconds: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    stale_seconds: float = Field(default=86_400.0, gt=0, allow_inf_nan=False)
    attached_sessions: int = Field(default=1000, gt=0)
    answer_seconds: float = Field(default=8.0, gt=0, allow_inf_nan=False)
    rebalance_after_seconds: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    rebalance_per_second: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    changes_per_second: float = Field(default=200.0, gt=0, allow_inf_nan=False)
    changes_burst: int = Field(default=400, gt=0)
    service_changes_per_second: float = Field(default=10_000.0, gt=0, allow_inf_nan=False)
    service_changes_burst: int = Field(default=20_000, gt=0)
    joins_per_minute: int = Field(default=10, gt=0)

    @property
    def advertised(self) -> HostPort:
        """Where the other parts reach this one."""
        return self.advertise or self.listen
