"""`python -m bench.peers`: measure what people use today, write `bench/results/peers.json`."""

from bench.peers.command import main

raise SystemExit(main())
