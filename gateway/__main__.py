"""`python -m gateway`."""

from functools import partial

from gateway.app import gateway
from gateway.settings import GatewaySettings
from services.serving.running import run
from services.serving.settings import load

settings = load(GatewaySettings)
run("gateway", settings, partial(gateway, settings))
