"""Tests of what sends audit events out."""
