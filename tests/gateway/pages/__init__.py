"""Tests of the hosted pages\x27 look and safety."""
