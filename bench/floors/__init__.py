"""What can be had without our logic: etcd alone, gRPC alone, and a pipeline that only carries."""
