"""What is kept of a load: figures, honesty, files, history, trend."""
