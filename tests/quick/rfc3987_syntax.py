"""Stands before the package of that name, for processes that tests start: see ``conftest.py``."""

raise ImportError("left out, because its grammar takes a second to build whenever jsonschema is imported")
