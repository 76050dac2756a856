"""`python -m tests.faults --rounds N --seed S`: rounds, a table, and the same as a line of JSON."""

import os

# Parts are started again while the load runs: the child becomes another program at once, and gRPC
# need not prepare its threads for a fork. It reads this when it is loaded.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # nor tell of connections that are harmed

from tests.faults.command import main

# Rounds are played by processes that load this module, too.
if __name__ == "__main__":
    raise SystemExit(main())
