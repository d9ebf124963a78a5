"""What a tenant owns: the only package that speaks SQL and cryptography."""
