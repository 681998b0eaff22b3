"""Scenarios that somebody devised to make a daemon fail; each test says what it found."""
