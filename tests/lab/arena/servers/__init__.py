"""Servers of the made-up internet, each a program of its own."""
