"""What stands in etcd, in our own formats: `codec` is the door, `v1` the generated messages."""
