"""Browsers at API hosts: sessions in a cookie, and the login that begins one."""
