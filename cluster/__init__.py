"""Starts parts as processes on one machine: a real etcd, Store, Live, the gateway."""
