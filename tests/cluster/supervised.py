"""A supervisor to be ended from outside: a real etcd, then two stand-ins, then one.

`supervised.py HOME ETCD PORT...` (five ports); prints `pids ...` once all are up.
"""

import asyncio
import os
import sys
from pathlib import Path

from cluster.etcd import Place, etcd_parts
from cluster.etcd_binary import EtcdBinary
from cluster.run import supervise
from cluster.supervisor import Cluster
from tests.cluster.stand_ins import stand_in

HOME, ETCD = Path(sys.argv[1]), Path(sys.argv[2])
PORTS = [int(port) for port in sys.argv[3:]]

etcd = etcd_parts(EtcdBinary(ETCD, (0, 0, 0)), [Place(PORTS[0], PORTS[1])], HOME, os.environ)
middle = [stand_in(f"middle-{n}", PORTS[1 + n], HOME / "journal") for n in (1, 2)]
top = [stand_in("top-1", PORTS[4], HOME / "journal")]
names = ["etcd-1", "middle-1", "middle-2", "top-1"]


def announce(cluster: Cluster) -> None:
    sys.stdout.write(" ".join(["pids", *(str(cluster.pid(name)) for name in names)]) + "\n")
    sys.stdout.flush()


raise SystemExit(asyncio.run(supervise(Cluster([etcd, middle, top], logs=HOME / "logs"), announce)))
