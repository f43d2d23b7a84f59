"""The row about credentials: what they add to the time and the CPU of a small request."""

import base64
import hashlib
import operator
import random
import secrets
import socket
import statistics
import time

import contenders
import wire
from bench import Bench
from contenders import Contender

_BATCH = 40
_TURNS_OF_ROUND = 120
_WARM_UP = 10
_BOUND = 1.05


def authorized(bench: Bench) -> None:
    """GET 1 KiB over a persistent connection, with and without a token, in batches by turns.

    Requests without credentials come twice in each turn, which shows the error of the measurement.
    """
    secret = f"fs_{secrets.token_urlsafe(32)}"
    access = bench.base / "access.toml"
    access.write_text(_token("reader", secret) + "".join(_token(f"t{n}") for n in range(100)))
    basic = base64.b64encode(f"any:{secret}".encode()).decode()
    fields = {
        "without": "",
        "without, again": "",
        "Bearer": f"Authorization: Bearer {secret}\r\n",
        "Basic": f"Authorization: Basic {basic}\r\n",
    }
    with contenders.fileservice(
        bench.base, workers=1, ANONYMOUS="read", ACCESS_FILE=str(access)
    ) as server:
        (server.files / "small.txt").write_bytes(b"x" * 1024)
        walls: dict[str, list[float]] = {name: [] for name in fields}
        cpus: dict[str, list[float]] = {name: [] for name in fields}
        with wire.persistent(server.port) as connection:
            for turn in range(_TURNS_OF_ROUND * bench.rounds + _WARM_UP):
                for name in random.sample(list(fields), len(fields)):
                    wall, cpu = _batch(server, connection, fields[name])
                    if turn >= _WARM_UP:
                        walls[name].append(wall)
                        cpus[name].append(cpu)
    access.unlink()
    for what, measured in (("CPU", cpus), ("time", walls)):
        without = 1e6 * statistics.median(measured["without"])
        # Batches of one turn are compared with each other: the machine is as busy for both.
        ratios = {
            name: statistics.median(map(operator.truediv, costs, measured["without"]))
            for name, costs in measured.items()
        }
        again = ratios["without, again"] * without
        bench.judge_values(
            f"GET 1 KiB without a token: {what}, against itself", again, without, unit="µs"
        )
        for name in ("Bearer", "Basic"):
            work = f"GET 1 KiB with a token ({name}): {what}, against without"
            bench.judge_values(work, ratios[name] * without, without, at_most=_BOUND, unit="µs")


def _token(name: str, secret: str | None = None) -> str:
    digest = hashlib.sha256((secret or secrets.token_urlsafe(32)).encode()).hexdigest()
    return f'[tokens.{name}]\nhash = "sha256:{digest}"\nscopes = ["read"]\n'


def _batch(server: Contender, connection: socket.socket, fields: str) -> tuple[float, float]:
    """Return the seconds and the seconds of CPU that each request of a batch took."""
    request = wire.head("GET", f"{server.get}small.txt", fields)
    cpu, start = server.cpu(), time.monotonic()
    for _ in range(_BATCH):
        wire.exchange(connection, request, 1024)
    return (time.monotonic() - start) / _BATCH, (server.cpu() - cpu) / _BATCH


ROWS = {"authorized": authorized}
