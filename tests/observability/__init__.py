"""Tests of fileservice.observability."""
