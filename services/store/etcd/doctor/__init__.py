"""The doctor: `python -m services.store.etcd.doctor` looks at everything that stands in etcd."""
