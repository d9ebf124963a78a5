"""The configuration: one YAML file and the environment, checked as a whole before anything of it is used.

``load`` is the way in; what it returns has been checked field by field and as a whole, so nothing behind it asks again.
"""

from gateway.settings.access_log import AccessLog
from gateway.settings.addresses import HostPort, HostSet
from gateway.settings.change import LIVE, Change, change
from gateway.settings.compile import compile_routes
from gateway.settings.listening import Certificate, ListenLimits
from gateway.settings.load import from_mapping, load
from gateway.settings.mail import Mail
from gateway.settings.model import ForwardAuth, Hashing, Limits, Log, Settings
from gateway.settings.problem import ConfigError, Problem
from gateway.settings.routing import Match, Requirement, Route
from gateway.settings.sink import Sink
from gateway.settings.units import is_slug
from gateway.settings.upstream import Upstream

__all__ = [
    "LIVE",
    "AccessLog",
    "Certificate",
    "Change",
    "ConfigError",
    "ForwardAuth",
    "Hashing",
    "HostPort",
    "HostSet",
    "Limits",
    "ListenLimits",
    "Log",
    "Mail",
    "Match",
    "Problem",
    "Requirement",
    "Route",
    "Settings",
    "Sink",
    "Upstream",
    "change",
    "compile_routes",
    "from_mapping",
    "is_slug",
    "load",
]
