"""The command line: options, overrides, sweeps, launchers, and the names of runs."""
