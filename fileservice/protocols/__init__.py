"""The protocols that the service speaks, as pure parsers and formatters: no Flask and no I/O."""
