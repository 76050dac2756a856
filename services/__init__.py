"""The two gRPC services, Store and Live, and what the servers share."""
