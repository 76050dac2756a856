"""`python -m show SCENARIO`: one of the shows, and one line of JSON at its end."""

import os

# Parts are started again while the load runs: the child becomes another program at once, and gRPC
# need not prepare its threads for a fork. It reads this when it is loaded.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from show.command import main

raise SystemExit(main())
