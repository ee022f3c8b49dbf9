"""What is called: mixes, flows, and their arguments."""
