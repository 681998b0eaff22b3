"""The contents of each kind of document, as tables in the language of `rules`."""
