"""sessiond: the state of AI-agent chat sessions, durable, ordered and live."""
