"""Threads by hand."""
