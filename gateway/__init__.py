"""The thin HTTP gateway: REST to gRPC. It holds no state and knows no rule."""
