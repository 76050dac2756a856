"""What the three servers share: auth, settings, interceptors, telemetry, run and drain."""
