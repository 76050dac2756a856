"""`python -m tests.faults.parts KIND ORDERS`: run a real part, which obeys a file of orders."""

import runpy
import sys
from pathlib import Path

from cluster.topology import MODULES
from tests.faults.parts.orders import Orders
from tests.faults.parts.points import wrap

kind, orders = sys.argv[1:]
wrap(kind, Orders(Path(orders)).listen().reached)
runpy.run_module(MODULES[kind], run_name="__main__", alter_sys=True)
