"""nginx in front of one server, set up in each of the ways that docs/operating.md describes."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from cluster.run import nginx
from tests.support.ports import free_port
from tests.support.servers import ROOT, LiveServer
from tests.support.sign_in import sign_in_server

SET_UPS = ("forwarded fields", "public URL", "public URL, path not removed")
_BUFFER_NOTHING = "proxy_request_buffering off; proxy_buffering off; client_max_body_size 0;"


def documented_location() -> str:
    """The lines for nginx as docs/operating.md has them."""
    (lines,) = re.findall(
        r"```nginx\n(.*?)```", (ROOT / "docs" / "operating.md").read_text(), re.DOTALL
    )
    return str(lines)


class ProxiedServer:
    """A server behind a proxy; `url` is that of the proxy, and has a path."""

    def __init__(self, url: str, server: LiveServer) -> None:
        self.url = url
        self.server = server


@contextlib.contextmanager
def proxied_server(
    set_up: str, directory: Path, start_server: Callable[..., LiveServer], **settings: str
) -> Iterator[ProxiedServer]:
    """Run a server with these settings behind nginx, under /store of its host."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/store"
    if set_up == "forwarded fields":
        server = start_server(TRUSTED_PROXIES="127.0.0.1", **settings)
        location = documented_location().replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    else:
        server = start_server(PUBLIC_URL=url, **settings)
        end = "" if "not removed" in set_up else "/"
        target = f"proxy_pass {server.url}{end};"
        location = f"location /store/ {{ {target} {_BUFFER_NOTHING} }}"
    text = f"events {{}}\nhttp {{\nserver {{ listen 127.0.0.1:{port};\n{location}\n}}\n}}\n"
    with nginx(directory, port, text):
        yield ProxiedServer(url, server)


def documented_sign_in(product: str) -> str:
    """The lines for nginx as docs/security.md has them in the section about this product."""
    page = (ROOT / "docs" / "security.md").read_text()
    section = re.search(rf"^### nginx and {product}\n(.*?)^###", page, re.DOTALL | re.MULTILINE)
    assert section
    (lines,) = re.findall(r"```nginx\n(.*?)```", section[1], re.DOTALL)
    return str(lines)


@contextlib.contextmanager
def behind_sign_in(product: str, directory: Path, server: LiveServer) -> Iterator[str]:
    """Run nginx in front of the server, as documented, with a program in the place of the product.

    A cookie `who` says who has signed in there. Yields the URL of nginx.
    """
    port = free_port()
    with sign_in_server() as sign_in:
        lines = documented_sign_in(product).replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
        lines = re.sub(r"127\.0\.0\.1:(4180|9091)", f"127.0.0.1:{sign_in}", lines)
        text = (
            "events {}\nhttp {\n"
            # nginx drops fields with underscores by default; here all depends on the service.
            "underscores_in_headers on;\n"
            f"server {{ listen 127.0.0.1:{port};\n{lines}\n}}\n}}\n"
        )
        with nginx(directory, port, text):
            yield f"http://127.0.0.1:{port}"
