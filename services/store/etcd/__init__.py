"""Everything that knows etcd: the client, and the repository that is built on it."""
