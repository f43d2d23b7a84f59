"""nginx, Apache and lighttpd: each as a person who knows it would set it up for large files."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from contenders import Contender, Missing, directory, free_port, program, running

_MODULES = "/usr/lib/apache2/modules"


@contextlib.contextmanager
def nginx(base: Path, *, workers: int = 1, threads: bool = False) -> Iterator[Contender]:
    """Run nginx: `sendfile on`, `tcp_nopush on`, `open_file_cache`, no access log.

    Bodies are received by `client_body_buffer_size 1m` (the default is 16k) into a
    `client_body_temp_path` on the same file system, so that `dav_methods PUT` renames them. With
    `threads`, a pool of threads reads and writes (`aio threads`, `aio_write on`).
    """
    binary = program("nginx", "Debian's nginx-light")
    port, home = free_port(), directory(base, "nginx")
    files = home / "files"
    files.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    pool = "aio threads; aio_write on;" if threads else ""
    (home / "nginx.conf").write_text(f"""
{user}
daemon off; worker_processes {workers}; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; sendfile_max_chunk 2m; tcp_nopush on; {pool}
    keepalive_requests 1000000000; open_file_cache max=10000 inactive=60s;
    client_max_body_size 0; client_body_buffer_size 1m; client_body_temp_path {home}/body;
    proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u;
    scgi_temp_path {home}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {files}; dav_methods PUT DELETE; }}
    }}
}}
""")
    with running([binary, "-c", str(home / "nginx.conf"), "-e", str(home / "e")], port) as process:
        yield Contender(process, port, files, get="/", put="/")


@contextlib.contextmanager
def apache(base: Path) -> Iterator[Contender]:
    """Run Apache with mod_dav_fs and the event MPM: `ThreadsPerChild 64` in one process, no log.

    `EnableSendfile On`, `EnableMMAP Off`, `ReadBufferSize 1048576` (the default is 8192),
    `LimitRequestBody 0`, `AllowOverride None`.
    """
    binary = program("apache2", "Debian's apache2")
    port, home = free_port(), directory(base, "apache")
    files = home / "files"
    files.mkdir()
    files.chmod(0o777)
    modules = ("mpm_event", "authz_core", "unixd", "dav", "dav_fs")
    loads = "\n".join(
        f"LoadModule {name.removeprefix('mod_')}_module {_MODULES}/mod_{name}.so"
        for name in modules
        if Path(f"{_MODULES}/mod_{name}.so").exists()
    )
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    (home / "apache.conf").write_text(f"""
{loads}
{user}
ServerRoot {home}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {home}/pid
ErrorLog {home}/error.log
LogLevel crit
Mutex posixsem
KeepAlive On
MaxKeepAliveRequests 0
StartServers 1
ServerLimit 1
ThreadsPerChild 64
ThreadLimit 64
MaxRequestWorkers 64
MinSpareThreads 1
MaxSpareThreads 64
EnableSendfile On
EnableMMAP Off
ReadBufferSize 1048576
LimitRequestBody 0
DavLockDB {home}/lock
DocumentRoot {files}
<Directory {files}>
    Require all granted
    AllowOverride None
    Options None
    Dav On
</Directory>
""")
    command = [binary, "-D", "FOREGROUND", "-f", str(home / "apache.conf")]
    with running(command, port) as process:
        yield Contender(process, port, files, get="/", put="/")


@contextlib.contextmanager
def lighttpd(base: Path, *, workers: int = 1) -> Iterator[Contender]:
    """Run lighttpd with mod_webdav: `server.network-backend = "sendfile"`, no access log.

    Each body is one temporary file on the same file system (`server.upload-temp-file-size`, by
    default 1 MiB; `server.upload-dirs`), which is renamed. `server.chunkqueue-chunk-sz` is 128 KiB.
    `server.max-worker` is the number of workers.
    """
    binary = program("lighttpd", "Debian's lighttpd")
    if not Path("/usr/lib/lighttpd/mod_webdav.so").exists():
        raise Missing("mod_webdav of lighttpd (Debian's lighttpd-mod-webdav)")
    port, home = free_port(), directory(base, "lighttpd")
    files, bodies = home / "files", home / "bodies"
    files.mkdir()
    bodies.mkdir()
    (home / "lighttpd.conf").write_text(f"""
server.modules = ( "mod_webdav" )
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{files}"
server.errorlog = "{home}/error.log"
server.max-worker = {workers if workers > 1 else 0}
server.max-fds = 4096
server.max-keep-alive-requests = 1000000000
server.network-backend = "sendfile"
server.upload-dirs = ( "{bodies}" )
server.upload-temp-file-size = 2147483647
server.chunkqueue-chunk-sz = 131072
server.max-request-size = 0
server.stat-cache-engine = "simple"
webdav.activate = "enable"
webdav.is-readonly = "disable"
""")
    command = [binary, "-D", "-f", str(home / "lighttpd.conf")]
    with running(command, port) as process:
        yield Contender(process, port, files, get="/", put="/")
