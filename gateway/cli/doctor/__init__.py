"""``yett doctor``: what an installation suffers from, and what to do about it. A module for each kind of check."""
