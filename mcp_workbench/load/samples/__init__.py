"""Calls one after the other, and what the controls cost a call."""
