"""Every order in which things can happen, tried: a search over enabled actions, and threads that race for locks."""
