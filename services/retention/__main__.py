"""`python -m services.retention`: let go what is due; `--dry-run` lists it, and ends."""

import argparse

from services.retention.app import listing, retention
from services.retention.settings import RetentionSettings
from services.serving.running import run
from services.serving.settings import load

parser = argparse.ArgumentParser(prog="python -m services.retention", description=__doc__)
parser.add_argument("--dry-run", action="store_true", help="list what would go, and end")
asked = parser.parse_args()
settings = load(RetentionSettings)
if asked.dry_run:
    raise SystemExit(listing(settings))
run("retention", settings, lambda running: retention(running, settings))
