"""Tests here say nothing about time, so hypothesis must not either."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
