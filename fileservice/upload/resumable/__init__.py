"""Uploads that come in several requests and can be continued after any of them was cut off."""
