"""The shows: real parts under load, faults among them, and a judgement that can say no."""
