"""What a doctor knows of sessions as they stand in etcd, without spelling etcd."""
