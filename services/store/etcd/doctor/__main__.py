"""`python -m services.store.etcd.doctor [--fix | --new-logs]`, in the environment of a Store."""

import asyncio
import sys

from services.serving import logs
from services.serving.settings import load
from services.store.etcd.doctor.command import arguments, doctor
from services.store.settings import StoreSettings

chosen = arguments(sys.argv[1:])
settings = load(StoreSettings)
logs.configure("doctor", settings.log_level)
raise SystemExit(asyncio.run(doctor(chosen, settings)))
