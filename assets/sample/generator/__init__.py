"""A small grammar of English-looking sentences, and the writers that turn its derivations into files."""
