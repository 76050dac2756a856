"""Real parts, started by a launcher that can stop them at a named point of their code."""
