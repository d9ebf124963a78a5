"""The composition root: what a serving process is made of, wired here and nowhere else."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from gateway import config_told, urls
from gateway.access_log_file import AccessLogFile
from gateway.account.router import account_router
from gateway.admin.composed import admin_routers
from gateway.audit import Recorder
from gateway.authn.bearer import Bearer
from gateway.authn.dpop import Possession, ProofCheck, SeenProofs
from gateway.authn.dpop_nonce import DpopNonces
from gateway.authn.id_token_hint import IdTokenHints
from gateway.authn.new_password import NewPasswords
from gateway.authn.password_attempt import PasswordCheck
from gateway.authn.token_table import TokenTable
from gateway.background import jobs_of, write_what_is_left
from gateway.breach import Breaches
from gateway.browser.composed import browser_front
from gateway.config_told import ConfigTold
from gateway.console.router import console_router
from gateway.console.site import Console
from gateway.data_plane import access_log_of, access_log_to_nowhere, data_plane, forward_auth
from gateway.direct import DirectRoutes
from gateway.edge import Edge
from gateway.gauges import Gauges
from gateway.health import Check, Fitness, health_router
from gateway.identity_meter import IdentityMeter
from gateway.installation import Installation, administrable, hashing_pool
from gateway.jobs import Job, Jobs
from gateway.limits import AddressLimit
from gateway.live import Limits, Live, Service, Staleness, tell_collisions
from gateway.login.router import login_router
from gateway.management import ManagementGuard
from gateway.metrics import Family, Registry
from gateway.metrics.page import metrics_router
from gateway.middleware import WithContext
from gateway.oauth.authorize import AuthorizePages, authorize_router
from gateway.oauth.client_auth import ClientAuth
from gateway.oauth.client_jwks import ClientJwks
from gateway.oauth.device_endpoint import DeviceEndpoint
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.endpoint import Endpoints
from gateway.oauth.endpoints import oauth_endpoints, oauth_router
from gateway.oauth.granting import token_pipeline
from gateway.oauth.introspection import Introspection
from gateway.oauth.par import PushedAuthorization
from gateway.oauth.registration import Registration
from gateway.oauth.request_object import RequestObjects
from gateway.oauth.revocation import Revocation
from gateway.oauth.userinfo import UserInfo
from gateway.oauth.verified_token import PresentedTokens
from gateway.otlp.exporter import Exporter
from gateway.otlp.running import running_exporter
from gateway.over_tls import OverTls
from gateway.own_hosts import OwnHosts, configured
from gateway.pages.assets import assets_router
from gateway.pages.renderer import Renderer
from gateway.pages.site import Site
from gateway.place import Places
from gateway.proxy.configured import running_pools
from gateway.proxy.pools import Pools
from gateway.proxy.shared_limits import SharedLimits
from gateway.rehearsing.explaining import Explaining
from gateway.sinks import Sinks, running_sinks
from gateway.web import CanonicalPath, application, nowhere
from tenants.acts.by import By
from tenants.api_key_uses import ApiKeyUses
from tenants.budgets import Budgets
from tenants.common_passwords import load as common_passwords
from tenants.hashing import HashingPool
from tenants.issuers import Issuers
from tenants.serving import Serving
from tenants.snapshot import Snapshot

_log = structlog.get_logger("yett.app")


@asynccontextmanager
async def running(installation: Installation) -> AsyncIterator[Service]:
    """Everything a process needs to serve, from before the first request until after the last.

    What was observed is written before it ends; helpers, upstream connections and jobs are gone after it.
    """
    settings = installation.settings
    places = Places(settings.geoip_database)
    snapshot = Snapshot(installation.database, clock=installation.clock, monotonic=time.monotonic)
    platform = await installation.platform()
    await administrable(installation, platform, By("yett"))
    recorder = Recorder(installation.audit_log.observe, platform_id=platform.id, clock=installation.clock)
    await snapshot.load()
    if platform.issuer != urls.issuer(settings.public_url, platform.slug):
        _log.warning("public_url_changed", issuer=platform.issuer, public_url=settings.public_url)
    tell_collisions(snapshot, settings)
    async with (
        hashing_pool(settings, worker=installation.worker) as hashing,
        running_pools(settings) as upstreams,
        access_log_of(settings) as access_log,
        running_sinks(settings, installation.database, installation.clock) as sinks,
        running_exporter(settings) as exporter,
    ):
        uses, breaches = ApiKeyUses(installation.database), Breaches.of(settings)
        fitness = Fitness.of(installation)
        parts = hashing, upstreams, breaches, places, uses, fitness, access_log, sinks, exporter
        service = compose(installation, snapshot, recorder, *parts)
        shared = None
        if not installation.database.is_sqlite:
            shared = SharedLimits(
                service.live.plane.limits,
                Budgets(installation.database),
                Serving(installation.database, lambda: installation.master_keys.ids),
            )
            await shared.settle()  # before the first request this one is counted
        told = ConfigTold(installation.store, platform, lambda: service.live.settings)
        beside = Job("config_told", config_told.INTERVAL, told.run)
        jobs = Jobs([*jobs_of(installation, snapshot, recorder, places, uses, fitness, shared), beside])
        jobs.start()
        try:
            yield service
        finally:
            await jobs.stop()
            await write_what_is_left(installation, recorder, uses, shared)


def compose(
    installation: Installation,
    snapshot: Snapshot,
    recorder: Recorder,
    hashing: HashingPool,
    upstreams: Pools,
    breaches: Breaches,
    places: Places,
    uses: ApiKeyUses,
    fitness: Fitness,
    access_log: AccessLogFile | None = None,
    sinks: Sinks | None = None,
    exporter: Exporter | None = None,
) -> Service:
    """The applications, on parts that stand already. Wiring only: nothing runs yet, so a test can hand in its own."""
    settings = installation.settings
    access_log = access_log or access_log_to_nowhere()
    staleness = Staleness(snapshot.silent_for, settings.revocation_staleness)
    feed_fresh = staleness.feed_fresh
    limits = Limits.of(settings)
    check = PasswordCheck(hashing)
    issuers = Issuers(installation.store, snapshot)
    client_jwks = ClientJwks.of(settings, installation.clock)
    clients = ClientAuth(issuers, installation.store, client_jwks, installation.clock)
    bearer = Bearer(snapshot, TokenTable(), lambda: installation.clock().timestamp())
    tokens = PresentedTokens(bearer.authenticate, feed_fresh)
    proofs = _proof_check(installation)
    possession = Possession(proofs, SeenProofs(), lambda: installation.clock().timestamp())
    dpop = DpopProofs(proofs, installation.store)
    objects = RequestObjects(installation.store, client_jwks, installation.clock)
    pipeline = token_pipeline(installation, clients, dpop, check, tokens)
    hints = IdTokenHints(snapshot)
    passwords = NewPasswords(hashing, breaches, common_passwords())
    site = _site(installation, snapshot, issuers, recorder, limits.pages[0])
    mail = settings.mail.configured
    shared = Endpoints(snapshot, limits.token, recorder.observe, proofs.nonce)
    endpoints = oauth_endpoints(
        shared,
        pipeline,
        UserInfo(installation.store, issuers, tokens, possession),
        Introspection(installation.store, clients, tokens, recorder.observe),
        Revocation(installation.store, clients, tokens, recorder.observe),
        DeviceEndpoint(installation.store, clients),
        PushedAuthorization(installation.store, clients, objects, dpop),
        Registration(installation.store),
    )
    management_api, tenant_api = admin_routers(
        installation,
        snapshot,
        bearer.authenticate,
        possession,
        feed_fresh,
        limits.management,
        recorder.observe,
        lambda: live.settings,
        passwords,
        Explaining(lambda: live.settings),
    )
    browsers, sign_in = browser_front(installation, snapshot, issuers, clients, dpop, limits.pages[2])
    operators = console_router(Console(True, application(management_api), sign_in, snapshot, limits.pages[0]))
    routers = (
        oauth_router(shared, endpoints),
        authorize_router(AuthorizePages(site, issuers, objects, hints)),
        login_router(site, check, passwords, places, hints, mail=mail),
        account_router(site, check, passwords, places, mail=mail),
        console_router(Console(False, application(tenant_api), sign_in, snapshot, limits.pages[0])),
        assets_router(site.tenant_of, installation.store, limits.pages[1]),
        tenant_api,
    )
    plane = data_plane(
        installation,
        snapshot,
        upstreams,
        uses,
        access_log.writer,
        possession=possession,
        feed_fresh=feed_fresh,
        observe=recorder.observe,
        browsers=browsers,
        exporter=exporter,
    )
    own_hosts = OwnHosts(snapshot, configured(settings))
    metered = IdentityMeter.of(DirectRoutes(routers, application(*routers)), routers)
    identity = WithContext(CanonicalPath(metered), settings.trusted_proxies)
    elsewhere = WithContext(nowhere, settings.trusted_proxies)
    edge = Edge(
        identity=identity,
        data_plane=plane,
        nowhere=elsewhere,
        identity_hosts=settings.identity_host_set(),
        api_hosts=settings.api_host_set(),
        own_hosts=own_hosts,
    )
    over_tls = OverTls.of(settings, edge, nowhere=elsewhere)
    own: dict[str, Check] = {"feed": feed_fresh, "hashing": lambda: bool(hashing.pids)}
    checks = {**own, **fitness.checks(), **installation.worker.checks()}
    gauges = Gauges(
        snapshot=snapshot,
        audit_log=installation.audit_log,
        hashing=hashing,
        upstreams=upstreams,
        streams=plane.streams,
        checks=checks,
    )
    metrics = Registry(plane.meter.read, metered.read, gauges.read)

    def scraped() -> list[Family]:
        return installation.worker.all_of(metrics.read())

    guard = ManagementGuard(
        CanonicalPath(application(health_router(checks), metrics_router(scraped), management_api, operators)),
        hosts=settings.management_host_set(),
        limit=limits.management,
    )
    management = WithContext(guard, settings.trusted_proxies)
    asked = forward_auth(settings, plane, recorder.observe)
    live = Live(
        settings=settings,
        plane=plane,
        upstreams=upstreams,
        snapshot=snapshot,
        edge=edge,
        over_tls=over_tls,
        forward_auth=asked,
        own_hosts=own_hosts,
        guard=guard,
        contexts=(identity, elsewhere, management, sign_in),
        limits=limits,
        staleness=staleness,
        access_log=access_log,
        master_keys=installation.master_keys,
        sinks=sinks or Sinks(installation.database, installation.clock),
    )
    return Service(over_tls or edge, management, live, lambda: all(check() for check in own.values()), metrics, asked)


def _proof_check(installation: Installation) -> ProofCheck:
    def seconds() -> float:
        return installation.clock().timestamp()

    return ProofCheck(DpopNonces(lambda: installation.master_keys.derived("dpop nonce"), seconds), seconds)


def _site(
    installation: Installation, snapshot: Snapshot, issuers: Issuers, recorder: Recorder, limit: AddressLimit
) -> Site:
    settings = installation.settings
    return Site(
        snapshot=snapshot,
        store=installation.store,
        issuers=issuers,
        renderer=Renderer(),
        limit=limit,
        observe=recorder.observe,
        clock=installation.clock,
        public_url=settings.public_url,
    )
