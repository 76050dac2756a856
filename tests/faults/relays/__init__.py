"""What stands between the parts of a round, and passes on what it is not told to harm."""
