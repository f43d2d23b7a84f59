"""What each worker of a server would do, done once in the process from which they are forked.

See `tests.support.forked`.
"""

import importlib.metadata
import tempfile

from flask import Flask
from jinja2 import FileSystemBytecodeCache

# Compiled templates are kept in the directory for temporary files, which is that of the run.
Flask.jinja_options["bytecode_cache"] = FileSystemBytecodeCache()
tempfile.tempdir = None  # a server may have another directory for its own
# gevent reads the metadata of all installed packages 25 times to find plugins.
importlib.metadata.entry_points = importlib.metadata.entry_points().select
