"""Servers of the tests are forked from a process that has imported the application.

In a service, gevent replaces sockets and locks before it is imported.
"""

import subprocess
import sys

from tests.support.servers import ROOT

DELIBERATELY = {"brief_calls", "gevent_executor"}
"""Modules that call what gevent replaces in its original form, whoever imports them."""
SOONER = {"wsgi_extensions"}
"""Modules that the master of a service, too, imports before."""
SCRIPT = """
import sys
import fileservice.app
from gevent import monkey
monkey.patch_all()
originals = {id(value) for saved in monkey.saved.values() for value in saved.values() if value}
originals.discard(id(True))
for name, module in list(sys.modules.items()):
    if name.startswith("fileservice."):
        for attribute, value in vars(module).items():
            if id(value) in originals and not hasattr(value, "__path__"):
                print(name.partition(".")[2], attribute)
"""


def test_application_takes_nothing_at_its_import_that_gevent_would_have_replaced() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    found = [line.split() for line in done.stdout.splitlines()]
    assert ["gevent_executor", "SimpleQueue"] in found, "the search finds nothing"
    assert [(module, name) for module, name in found if module not in DELIBERATELY | SOONER] == [
        ("app", "new_lock")  # from gevent_executor
    ]
