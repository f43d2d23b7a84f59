"""What a file is, found out from its bytes while they pass and before it is published."""
