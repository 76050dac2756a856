"""`python -m tests.simulation --schedules N --seed S`: play many, and say what they found."""

from __future__ import annotations

import sys

from tests.simulation.campaign import main

sys.exit(main(sys.argv[1:]))
