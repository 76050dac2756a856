"""`python -m services.live`: run Live as its environment says."""

from services.live.app import live
from services.live.settings import LiveSettings
from services.serving.running import run
from services.serving.settings import load

settings = load(LiveSettings)
run("live", settings, lambda running: live(running, settings))
