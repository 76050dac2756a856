"""The benches: each figure of ours beside the raw etcd figure of the same run."""
