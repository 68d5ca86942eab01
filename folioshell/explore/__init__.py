"""Exhaustive exploration: a search over enabled actions, and threads that race for locks."""
