"""`make show-stop`: Lives stand still for twice as long as they may, and then go on."""

from show import faults
from show.upheaval import Upheaval

SECONDS = 40.0

SHOW = Upheaval(
    name="stop",
    strike=faults.stop,
    every=15.0,
    lasts=2 * faults.TTL_SECONDS + 3.0,
    aim_ms=7000.0,
    time_of=lambda takeover: takeover.until_acknowledged,
)
