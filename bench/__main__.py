"""`python -m bench`: measure, print the tables, write `bench/results/latest.json`."""

from bench.command import main

raise SystemExit(main())
