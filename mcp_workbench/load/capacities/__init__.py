"""How much a server can take: the ramp, the knee, what controls cost."""
