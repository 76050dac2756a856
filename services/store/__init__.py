"""Store: keeps sessions and user indexes in etcd; the only service that talks to it."""
