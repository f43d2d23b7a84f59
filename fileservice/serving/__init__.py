"""A gunicorn worker that sends files by sendfile(2) and reads bodies into the reader's buffers.

It knows gunicorn and gevent, and of the service nothing but fileservice.wsgi_extensions.
"""
