"""Scripts: reading, running and writing `.fs` files."""
