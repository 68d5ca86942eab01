"""The shell: reading lines from a person or a script, executing them in a session, showing what they did."""
