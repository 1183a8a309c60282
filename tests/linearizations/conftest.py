"""Tests here say nothing about time, so hypothesis must not either; and there are many rows, so each gets fewer examples."""

from hypothesis import settings

settings.register_profile("many rows", deadline=None, max_examples=50)
settings.load_profile("many rows")
