"""The composition root: `create_app` makes a WSGI application from the settings."""

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from flask import Flask
from gevent import monkey

from fileservice import filetypes
from fileservice.access import (
    AccessFile,
    Limits,
    LinkStore,
    QuotaAccounts,
    SecretKey,
    SessionStore,
    anonymous,
    open_limits,
)
from fileservice.brief_calls import call_blocking
from fileservice.events import NO_EVENTS, EventReceiver, Events, start_events
from fileservice.executor import Executor
from fileservice.gevent_executor import (
    GreenletExecutor,
    InlineExecutor,
    ThreadExecutor,
    new_lock,
)
from fileservice.integrity import DamageMarks
from fileservice.observability import Sampler, count_store_calls, shared_rows
from fileservice.operator_checks import (
    clamd_of,
    scanner_health,
    staged_checks_of,
    verify_clamd,
)
from fileservice.settings import Settings, check_access_file
from fileservice.storage import Busy, StorageFull, StorageUnavailable, Store, open_store
from fileservice.upload import (
    ContentPolicy,
    ResumableUploads,
    StagedChecks,
    UploadContext,
    UploadPolicy,
    held_reservations,
)
from fileservice.web import door, localization, problem_pages, problems
from fileservice.web.authentication import Authenticator
from fileservice.web.cookies import Cookies
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import Door
from fileservice.web.expiry_sweeper import ExpirySweeper
from fileservice.web.hooks import Hooks
from fileservice.web.identity_fields import IdentityFields
from fileservice.web.link_access import LinkAccess
from fileservice.web.link_cookies import LinkCookies
from fileservice.web.link_credentials import LinkCredentials
from fileservice.web.link_transfers import LinkTransfers
from fileservice.web.maintenance import Sweeper
from fileservice.web.middleware import (
    compression,
    cors,
    cross_site,
    hosts,
    link_privacy,
    load_shedding,
    method_override,
    private_responses,
    proxies,
    request_ids,
)
from fileservice.web.origins import AllowedOrigins
from fileservice.web.path_parameters import CONVERTERS
from fileservice.web.routes import (
    archive,
    assets,
    description,
    downloads,
    file_index,
    health,
    listing,
    metrics,
    oidc,
    pages,
    resumable_draft,
    shared,
    sign_in,
    tus,
    uploads,
)
from fileservice.web.routes import links as link_routes
from fileservice.web.routes.downloads import Downloads
from fileservice.web.routes.health import SharedCheck, check_store
from fileservice.web.routes.metrics import StoreMeasurements
from fileservice.web.routes.oidc import Flow
from fileservice.web.routes.raw_uploads import RawUploads
from fileservice.web.search_limit import SearchLimit
from fileservice.web.session_cookie import SessionCookie
from fileservice.web.sign_in import SignIn

if TYPE_CHECKING:
    from fileservice.web.openid_provider import OpenIDProvider


_log = logging.getLogger(__name__)
_FAILURES_OF_STORE = (StorageUnavailable, StorageFull, Busy)
"""All other errors of a store are answers, such as that there is no such file."""


def create_app(
    settings: Settings | None = None, store: Store | None = None, *, verified: bool = False
) -> Flask:
    """Return the service as a WSGI application. Raises SettingsError, StorageUnavailable.

    Without `settings`, they are read from the environment. Without `store`, the one that the
    settings name is opened. If the store, ACCESS_FILE and clamd were `verified` before, they need
    not be usable at this moment.
    """
    settings = settings or Settings.from_environ(os.environ)
    clamd = clamd_of(settings)
    if not verified:
        check_access_file(settings)
        if warning := verify_clamd(clamd, settings):
            _log.warning("%s", warning)
    store = store or open_store(
        settings.store_url,
        fsync=settings.fsync,
        verified=verified,
        identity=settings.store_id,
        new_lock=new_lock,
        call_blocking=call_blocking,
    )
    store = count_store_calls(store, lambda error: isinstance(error, _FAILURES_OF_STORE))
    executor = _executor_for(store)
    app = Flask("fileservice", static_folder=None, template_folder="web/templates")
    # Pages have no line for each block of a template.
    app.jinja_options = {**app.jinja_options, "trim_blocks": True}
    app.json.sort_keys = False  # type: ignore[attr-defined]  # that of Flask's default provider
    app.url_map.merge_slashes = False  # a name with a slash is refused rather than changed
    app.url_map.converters |= CONVERTERS
    secret_key = SecretKey(store.private_files, settings.secret_key)
    cookies = Cookies(settings.public_url)
    session_cookie = SessionCookie(SessionStore(secret_key, store.private_files), cookies)
    access_file = AccessFile(settings.access_file) if settings.access_file else None
    identity_fields = IdentityFields(settings.identity_header, settings.identity_groups_header)
    links = LinkStore(store.private_files)
    link_access = LinkAccess(links, LinkCookies(cookies, secret_key), executor)
    authenticator = Authenticator(
        anonymous(settings.anonymous),
        access_file,
        identity_fields,
        session_cookie,
        LinkCredentials(links, secret_key),
        link_access,
    )
    checks = staged_checks_of(settings, clamd)
    dependencies = _dependencies(settings, store, executor, authenticator, links, checks)
    for resource in (
        uploads,
        archive,
        listing,
        file_index,
        pages,
        tus,
        resumable_draft,
        link_routes,
    ):
        app.register_blueprint(resource.routes(dependencies))
    transfers = LinkTransfers(
        link_access, store, executor, dependencies.upload_context.events, dependencies.damage_marks
    )
    app.register_blueprint(downloads.routes(dependencies))
    app.register_blueprint(shared.routes(dependencies, link_access, transfers))
    browser_sign_in = SignIn(session_cookie, executor, settings.public_url)
    provider = _openid_provider(settings)
    label = provider.label if provider else None
    app.register_blueprint(
        sign_in.routes(
            browser_sign_in, authenticator, dependencies.door, settings.idle_timeout, label
        )
    )
    flow = Flow(secret_key, cookies)
    app.register_blueprint(
        oidc.routes(provider, flow, browser_sign_in, authenticator, settings.public_url)
    )
    scanner = scanner_health(settings, clamd)
    app.register_blueprint(health.routes(_health(settings, store, executor), scanner, access_file))
    measurements = StoreMeasurements(store, _executor_of_checks(executor))
    app.register_blueprint(metrics.routes(shared_rows(), measurements.figures))
    app.register_blueprint(assets.routes())
    app.register_blueprint(description.routes(dependencies, problems.TABLE))
    hooks = Hooks()
    report = partial(problem_pages.report_beside, app, hooks)
    Downloads(dependencies, transfers, hooks, report).mount(app)
    RawUploads(dependencies, hooks, report).mount(app)
    # What these do before a request, they do in this order. A request passes `proxies` before
    # `method_override` and `request_ids`, and all three before it is dispatched, since WSGI
    # middleware that is registered later is called earlier.
    request_ids.register(app, Sampler.from_environ(os.environ) if settings.traces else None)
    method_override.register(app)
    proxies.register(app, hooks, settings.trusted_proxies, settings.public_url)
    load_shedding.register(hooks, executor.delay)
    hosts.register(hooks, settings.hosts)
    origins = AllowedOrigins(settings.cors_origins, identity_fields)
    cross_site.register(hooks, origins, settings.public_url)
    link_privacy.register(hooks)
    cors.register(hooks, origins, identity_fields.names)
    private_responses.register(hooks)
    compression.register(hooks, executor)
    _sweep_expired_files(hooks, dependencies.upload_context)
    hooks.register(app)
    door.register(app, dependencies.door)
    localization.register(app, hooks)
    problem_pages.register(app)
    return app


def _sweep_expired_files(hooks: Hooks, context: UploadContext) -> None:
    """Have expired files removed, also while there are no requests where gevent runs."""
    sweeper = ExpirySweeper(context)
    if isinstance(context.executor, InlineExecutor):
        hooks.before(lambda _environ: sweeper.sweep_if_due())
    else:
        sweeper.start()


def _dependencies(
    settings: Settings,
    store: Store,
    executor: Executor,
    authenticator: Authenticator,
    links: LinkStore,
    checks: StagedChecks | None,
) -> Dependencies:
    policy = UploadPolicy(
        types=filetypes.select(settings.allowed_extensions),
        max_size=settings.max_file_size,
        min_free=settings.min_free_space,
        digest=settings.digest,
        max_unfinished=settings.max_unfinished_uploads,
        max_unfinished_of_client=settings.max_unfinished_uploads_per_client,
        max_expiry=settings.file_expiry_max,
        default_expiry=settings.file_expiry,
        content=ContentPolicy(
            max_members=settings.max_archive_members,
            max_unpacked=settings.max_unpacked_size,
            max_ratio=settings.max_compression_ratio,
            max_pixels=settings.max_image_pixels,
            refused=settings.refused_content,
        ),
    )
    accounts = QuotaAccounts(store, executor, partial(held_reservations, store))
    context = UploadContext(
        store,
        policy,
        executor,
        accounts.release,
        begin_removal=accounts.begin_removal,
        staged_checks=checks,
        events=_events(settings, store, executor),
    )
    resumable_uploads = ResumableUploads(context, expiry=settings.upload_expiry)
    return Dependencies(
        upload_context=context,
        resumable_uploads=resumable_uploads,
        sweeper=Sweeper(store, resumable_uploads, links, executor, settings.upload_expiry),
        search_limit=SearchLimit(),
        door=Door(authenticator, _limits(settings), accounts),
        quota_accounts=accounts,
        links=links,
        damage_marks=DamageMarks.of_service(store),
        idle_timeout=settings.idle_timeout,
        public_url=settings.public_url,
        download_redirect=settings.download_redirect,
    )


def _events(settings: Settings, store: Store, executor: Executor) -> Events:
    if not settings.on_stored or not settings.on_stored_secret:
        return NO_EVENTS
    receiver = EventReceiver(
        settings.on_stored, settings.on_stored_secret, allow_private=settings.on_stored_private
    )
    return start_events(receiver, settings.public_url, store, executor)


def _openid_provider(settings: Settings) -> "OpenIDProvider | None":
    if not settings.oidc_issuer or not settings.oidc_client_id:
        return None
    # Imported here because most services do not use it, and loading it takes 0.2 s and 16 MiB.
    from fileservice.web.openid_provider import OpenIDProvider

    return OpenIDProvider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
        settings.oidc_groups_claim,
    )


def _limits(settings: Settings) -> Limits:
    return open_limits(
        settings.max_uploads,
        settings.auth_failure_limit,
        settings.rate_limit,
        settings.limits_url,
    )


def _health(settings: Settings, store: Store, executor: Executor) -> SharedCheck:
    # All workers together check a bucket once in a second.
    return SharedCheck(
        partial(check_store, store, settings.min_free_space),
        interval=float(settings.workers) if store.remote else 1.0,
        run=_executor_of_checks(executor).run_io,
    )


def _executor_of_checks(executor: Executor) -> Executor:
    """Return an executor for checks of the store.

    One of a disk may hang, so it has a thread that no other call waits for. One of a bucket waits
    in the event loop.
    """
    return ThreadExecutor(threads=1) if isinstance(executor, ThreadExecutor) else executor


def _executor_for(store: Store) -> InlineExecutor | GreenletExecutor | ThreadExecutor:
    if not monkey.is_module_patched("socket"):
        return InlineExecutor()
    return GreenletExecutor() if store.remote else ThreadExecutor()
