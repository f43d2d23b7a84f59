"""The composition root: settings in, a WSGI application out."""

import os
from functools import partial

from flask import Flask
from gevent import monkey

from fileservice import filetypes
from fileservice.gevent_executor import GreenletExecutor, InlineExecutor, ThreadExecutor
from fileservice.settings import Settings
from fileservice.storage import Store, open_store
from fileservice.upload import UploadPolicy
from fileservice.web import problems
from fileservice.web.middleware import cors, cross_site, hosts, load_shedding
from fileservice.web.middleware.proxies import ClientAddresses, refuse_bad_addresses
from fileservice.web.path_parameters import CONVERTERS, parse_path_parameters
from fileservice.web.routes import (
    assets,
    downloads,
    health,
    listing,
    pages,
    resumable_draft,
    tus,
    uploads,
)
from fileservice.web.service import Service
from fileservice.web.store_health import Health, look_at


def create_app(
    settings: Settings | None = None, store: Store | None = None, *, verified: bool = False
) -> Flask:
    """The service as a WSGI application. Raises SettingsError, StorageUnavailable.

    Without `settings` they are read from the environment; without `store` it is the one that
    they name, which need not be there at this moment if it was `proved` before to be fit.
    """
    settings = settings or Settings.from_environ(os.environ)
    store = store or open_store(
        settings.store_url, fsync=settings.fsync, verified=verified, identity=settings.store_id
    )
    executor = _executor_for(store)
    service = Service(
        store=store,
        policy=UploadPolicy(
            types=filetypes.select(settings.allowed_extensions),
            max_size=settings.max_file_size,
            min_free=settings.min_free_space,
            digest=settings.digest,
            max_unfinished=settings.max_unfinished_uploads,
            max_unfinished_of_client=settings.max_unfinished_uploads_per_client,
        ),
        executor=executor,
        idle_timeout=settings.idle_timeout,
        public_url=settings.public_url,
        upload_expiry=settings.upload_expiry,
        download_redirect=settings.download_redirect,
    )
    app = Flask("fileservice", static_folder=None, template_folder="web/templates")
    app.url_map.merge_slashes = False  # a name with a slash is refused, not silently changed
    app.url_map.converters |= CONVERTERS
    app.before_request(refuse_bad_addresses)
    for part in (uploads, downloads, listing, pages, tus, resumable_draft):
        app.register_blueprint(part.routes(service))
    app.register_blueprint(health.routes(_health(settings, service)))
    app.register_blueprint(assets.routes())
    load_shedding.register(app, executor.delay)
    problems.register(app)
    hosts.register(app, settings.hosts)
    cross_site.register(app, settings.cors_origins, settings.public_url)
    tus.register(app)
    app.before_request(parse_path_parameters)
    if settings.cors_origins:
        cors.register(app, settings.cors_origins)
    app.wsgi_app = ClientAddresses(  # type: ignore[method-assign]
        app.wsgi_app,
        settings.trusted_proxies,
        settings.public_url,
        {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()},
    )
    return app


def _health(settings: Settings, service: Service) -> Health:
    # Each look at a disk has a thread that nothing else waits in. Looks at a bucket wait in the
    # loop, and all workers together ask it once a second.
    executor = service.executor
    if isinstance(executor, ThreadExecutor):
        executor = ThreadExecutor(threads=1)
    look = partial(executor.run_io, look_at, service.store, settings.min_free_space)
    return Health(look, interval=float(settings.workers) if service.store.remote else 1.0)


def _executor_for(store: Store) -> InlineExecutor | GreenletExecutor | ThreadExecutor:
    if not monkey.is_module_patched("socket"):
        return InlineExecutor()
    return GreenletExecutor() if store.remote else ThreadExecutor()
