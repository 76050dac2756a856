"""`make show-kill`: Lives die without a word, one every five seconds."""

from show import faults
from show.upheaval import Upheaval

SECONDS = 40.0

SHOW = Upheaval(
    name="kill",
    strike=faults.kill,
    every=5.0,
    lasts=4.0,
    aim_ms=1000.0,
    time_of=lambda takeover: takeover.until_acknowledged,
)
