"""The benches: each figure of ours beside floors, measured in the same run."""

import os

# We start processes while gRPC has threads, and they become other programs at once. Without this
# gRPC says each time that it could not prepare for the fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
