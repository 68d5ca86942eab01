"""Sessions: typed lines, history, undo by replay, labels. No terminal."""
