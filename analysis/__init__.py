"""Flows to answers to pictures: gateway models, concurrency, bursts, classes, figures."""
