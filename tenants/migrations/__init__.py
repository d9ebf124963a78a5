"""Alembic migrations, from the first version on. Run by ``migrate.py`` as ``yett_owner``."""
