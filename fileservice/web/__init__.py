"""HTTP: requests become calls of the other packages, results and errors become responses."""
