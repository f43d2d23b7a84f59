"""HTTP, and nothing but HTTP: requests into calls, results and errors into answers."""
