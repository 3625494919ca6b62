"""The folders of the configurations: in the package once installed, else atop the checkout."""

from __future__ import annotations

import textwrap
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

_PACKAGE = Path(__file__).parents[1]
_TOP = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1]

CONF = _TOP / "conf"
EXPERIMENTS = _TOP / "experiments"


def experiments() -> str:
    """The names of the experiments, by their files, as the help lists them."""
    names = sorted(path.stem for path in (EXPERIMENTS / "experiment").glob("*.yaml"))
    return textwrap.fill(" | ".join(names), 62).replace("\n", "\n" + 18 * " ")


class ExperimentsSearchPath(SearchPathPlugin):
    """Lets Hydra find the group ``experiment`` in ``experiments/``."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append(provider="dtd-run", path=f"file://{EXPERIMENTS}")
