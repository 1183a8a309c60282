"""`python -m spacy_emerging`: the same as the script `spacy-emerging`, wherever the script is not on the path."""

from .cli.app import app

app(prog_name="spacy-emerging")
