"""Run the command line: `python -m sessiond`."""

from sessiond.cli import main

main()
