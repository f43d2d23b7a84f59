"""Uploads that come in several requests, and can go on after any of them broke off."""
