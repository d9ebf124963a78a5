"""Hosted pages: how they look, and what keeps a form from being somebody else's. What they do, features say."""
