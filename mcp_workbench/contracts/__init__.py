"""Step 1 of the build sequence: tool contracts, drafted from a server, audited, and held against it."""
