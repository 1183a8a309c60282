"""There are many rows here, so each gets fewer examples."""

from hypothesis import settings

settings.register_profile("many rows", settings.get_profile("untimed"), max_examples=50)
settings.load_profile("many rows")
