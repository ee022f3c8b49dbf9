"""What is seen: the widgets that need ipywidgets, and what they are made from."""
