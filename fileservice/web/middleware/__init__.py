"""What is done with every request before it reaches a view, or with every response after it."""
