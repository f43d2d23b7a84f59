"""The way out, as pure functions: which answer a request's conditions and ranges ask for."""
