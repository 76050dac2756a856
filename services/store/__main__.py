"""`python -m services.store`: run Store as its environment says."""

from services.serving.running import run
from services.serving.settings import load
from services.store.app import store
from services.store.settings import StoreSettings

settings = load(StoreSettings)
run("store", settings, lambda running: store(running, settings))
