"""Run the supervisor's command line."""

from cluster.command import main

raise SystemExit(main())
