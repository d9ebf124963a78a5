"""The edge: one HTTP/1.1 connection at a time read strictly, and the listeners that carry them."""
