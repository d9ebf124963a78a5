"""Traces and logs for a collector by OTLP/HTTP: what is sent, as bytes, and how it gets there."""
