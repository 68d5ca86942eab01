"""The engine: a kernel, the schemes that watch it, and the trace of what it does."""
