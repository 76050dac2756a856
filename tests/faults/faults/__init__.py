"""What is done to a running cluster, by the names that plans use.

Every fault is one object for one use: `inject()` does it, and `heal()` leaves the cluster as whole
as it was. Both may take a while; each is called once, in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from tests.faults.faults import couriers, crashes, etcd, processes, restarts, roads
from tests.faults.faults.fault import Fault, Scene
from tests.faults.plan import POINTS, TROUBLES, Strike

MAKERS: Mapping[str, Callable[[Scene, Strike], Fault]] = {
    "kill": processes.Killed,
    "stop-half": processes.Stopped,
    "stop": processes.Stopped,
    "stop-long": processes.Stopped,
    "freeze": processes.Frozen,
    "stall-loop": processes.LoopStalled,
    "clock": processes.ClockJumped,
    "etcd-minority": partial(etcd.MembersKilled, count=1),
    "etcd-majority": partial(etcd.MembersKilled, count=2),
    "rolling-restart": restarts.Rolling,
    "ping-pong": restarts.PingPong,
    "revoked-lease": etcd.LeaseRevoked,
    "compaction": etcd.Compacting,
    "defragmentation": etcd.Defragmenting,
    "no-space": etcd.NoSpace,
    "full-disk": etcd.DiskFull,
    "lost-replies": couriers.RepliesLost,
    "delivered-twice": couriers.DeliveredTwice,
    "old-request": couriers.OldRequest,
    "crash-of-store": partial(crashes.StoreCrashed, point="after transaction before outcome"),
    **{kind: partial(crashes.LiveCrashed, point=point) for kind, point in POINTS.items()},
    **{f"road-{name}": partial(roads.RoadHarmed, trouble=name) for name in TROUBLES},
}
"""What makes a fault, by its kind's name."""
