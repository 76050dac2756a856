"""`make show-term`: Lives are asked to leave, one every five seconds, and nobody may notice."""

from show import faults
from show.upheaval import Upheaval

SECONDS = 40.0

SHOW = Upheaval(
    name="term",
    strike=faults.term,
    every=5.0,
    lasts=4.0,
    aim_ms=150.0,
    # A leaving Live hands its sessions over one after the other, and serves each until then: what
    # counts is how long somebody waited for an answer.
    time_of=lambda takeover: takeover.longest_wait,
    unseen=True,
)
