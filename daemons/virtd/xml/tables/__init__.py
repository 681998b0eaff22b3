"""What each kind of document may hold, as tables in the language of `rules`."""
