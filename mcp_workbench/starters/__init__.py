"""Starters: five small servers that a team copies to begin its own, each a file with its contract beside it."""
