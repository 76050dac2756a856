"""Become another program that dies with its parent: `tether.py PARENT_PID PROGRAM ARGUMENTS...`.

Run by path with a bare interpreter, so it imports nothing of ours. The kernel's parent-death
signal survives `exec`, and it is SIGKILL because a part that hangs would outlive a milder one;
whatever is durable here survives SIGKILL anyway. The signal is asked for inside the child rather
than in a `preexec_fn`, which must not run Python between fork and exec while gRPC has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # A parent that died before the line above sends nothing any more.
    if os.getppid() != parent:
        raise SystemExit(1)
    try:
        os.execvp(program[0], program)
    except OSError as failure:
        sys.stderr.write(f"cannot run {program[0]}: {failure.strerror}\n")
        raise SystemExit(127) from None


if __name__ == "__main__":
    main()
