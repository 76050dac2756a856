"""`python -m tests.faults --rounds N --seed S`: rounds, a table, and the same as a line of JSON."""

import os

# Parts are started again while the load runs: the child becomes another program at once, and gRPC
# need not prepare its threads for a fork. It reads this when it is loaded.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from tests.faults.command import main

raise SystemExit(main())
