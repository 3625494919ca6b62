"""The sweeper of ``dtd-run -m``; Hydra finds those in this namespace alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn


class DtdSweeper(BasicSweeper):
    """Hydra's own, but for runs that are done already, and for the end of a sweep."""

    def sweep(self, arguments: list[str]) -> None:
        # Hydra imports every plugin, also to answer --help.
        from dtd_cli.sweep import sweep

        assert self.config is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (runs,) = self.split_arguments(overrides, None)
        sweep(self.config, runs, partial(loader.load_sweep_config, self.config), self._launch)

    def _launch(self, jobs: list[list[str]]) -> Sequence[JobReturn]:
        assert self.launcher is not None
        returns: list[JobReturn] = []
        for batch in self.split_overrides_to_chunks(jobs, self.max_batch_size):
            returns += self.launcher.launch(batch, initial_job_idx=len(returns))
        return returns
