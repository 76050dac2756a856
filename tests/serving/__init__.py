"""What the three servers share, on real servers, real tokens and real certificates."""
