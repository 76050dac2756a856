"""Live: holds sessions while they are used, and orders every change of them."""
