"""Whether a file is what its name says, determined from its bytes before it is published."""
