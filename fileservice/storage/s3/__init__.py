"""Files in a bucket of Amazon S3, or of another store with its API."""
