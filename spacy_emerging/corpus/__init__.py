"""Text formats to Docs and back, and the reader of .spacy files that training uses."""
