"""What gunicorn is taught about moving bytes. Knows gunicorn and gevent; nothing of the service."""
