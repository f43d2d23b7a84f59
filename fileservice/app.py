"""The composition root: settings in, a WSGI application out."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, cast

import gevent
from flask import Flask
from gevent import monkey

from fileservice import filetypes
from fileservice.settings import Settings
from fileservice.storage import Store, open_store
from fileservice.upload import Offload, Rules
from fileservice.upload.offloading import P, T, inline
from fileservice.web import downloads, listing, ops, pages, problems, uploads
from fileservice.web.proxies import TrustedProxies
from fileservice.web.service import Service


def create_app(settings: Settings | None = None, store: Store | None = None) -> Flask:
    """The service as a WSGI application. Raises SettingsError, StorageUnavailable.

    Without `settings` they are read from the environment; without `store` it is the one that
    they name.
    """
    settings = settings or Settings.from_environ(os.environ)
    service = Service(
        store=store or open_store(settings.store_url, fsync=settings.fsync),
        rules=Rules(
            types=filetypes.select(settings.allowed_extensions),
            max_size=settings.max_file_size,
            min_free=settings.min_free_space,
            digest=settings.digest,
        ),
        offload=_offload(),
        idle_timeout=settings.idle_timeout,
        public_url=settings.public_url,
    )
    app = Flask("fileservice", static_folder="web/static", template_folder="web/templates")
    app.url_map.merge_slashes = False  # a name with a slash is refused, not silently changed
    for part in (uploads, downloads, listing, pages, ops):
        app.register_blueprint(part.routes(service))
    problems.register(app)
    if settings.trusted_proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    return app


def _offload() -> Offload:
    return _to_thread if monkey.is_module_patched("socket") else inline


def _to_thread(function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
    """Run `function` in gevent's thread pool while other greenlets go on."""
    task = gevent.get_hub().threadpool.spawn(_Outcome.of, function, *arguments, **keywords)
    try:
        task.wait()
    except BaseException:
        # The greenlet is being killed, but the thread still works with what the caller is about
        # to close.
        task.wait()
        raise
    return cast(_Outcome[T], task.get()).result()


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[T]):
    """What came of a task: an error that left it would be printed, be it expected or not."""

    value: T | None = None
    error: BaseException | None = None

    @classmethod
    def of(
        cls, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs
    ) -> "_Outcome[T]":
        try:
            return cls(value=function(*arguments, **keywords))
        except BaseException as error:  # noqa: BLE001  # raised again where it belongs
            return cls(error=error)

    def result(self) -> T:
        if self.error:
            raise self.error
        return cast(T, self.value)
