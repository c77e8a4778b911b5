"""Packets to flows: reading captures, decoding headers, tracking flows. Knows numpy and numba, nothing of tables or pictures."""
