"""Verification before release: what a server does with calls, good and bad."""
