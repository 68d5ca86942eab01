"""Reports as documents for other programs."""
