"""fileservice: takes a file over HTTP and gives it back."""

__version__ = "0.1.0"
