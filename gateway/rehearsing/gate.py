"""What the commands of ``yett policy`` decide by: a configuration, and no installation behind it."""

import secrets
import time

from gateway.authn.dpop import Possession, ProofCheck, SeenProofs
from gateway.authn.dpop_nonce import DpopNonces
from gateway.data_plane import plane_config
from gateway.proxy.configured import upstreams_of
from gateway.proxy.pools import Pools
from gateway.proxy.rehearsal import Rehearsal
from gateway.settings import Settings


def rehearsal(settings: Settings) -> Rehearsal:
    """The gate of these settings. It shares nothing with a server: its proofs of possession are asked of nobody."""
    pools = Pools().prepared(upstreams_of(settings))
    key = secrets.token_bytes(32)
    nonces = DpopNonces(lambda: [key], time.time)
    possession = Possession(ProofCheck(nonces, time.time), SeenProofs(), time.time)
    return Rehearsal(plane_config(settings, pools, None), settings.api_host_set(), possession)
