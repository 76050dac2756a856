"""Generated from `protos/sessiond/v1` by `make protos`."""
