"""Packets to flows: reading captures, decoding headers, tracking flows. Knows nothing of tables or pictures."""
