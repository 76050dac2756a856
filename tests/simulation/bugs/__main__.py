"""`python -m tests.simulation.bugs --schedules N`: play each bug, and say how it is caught."""

from __future__ import annotations

import sys

from tests.simulation.bugs.table import main

sys.exit(main(sys.argv[1:]))
