"""Hosted login: from a name and a password to a session, one page at a time, each decided by stored state."""
