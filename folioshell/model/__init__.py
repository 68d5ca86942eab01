"""Nouns: the objects of the kernel's memory management and their invariants. Nothing here takes a lock or announces."""
