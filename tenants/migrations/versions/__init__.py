"""One file a step; the number leads the name."""
