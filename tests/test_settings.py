"""Settings as they are read from files: what is refused, and in which words."""

from __future__ import annotations

import pytest

from dtd_cli.config.errors import SettingError
from dtd_cli.config.renamed import RENAMED
from dtd_cli.config.settings import RelevanceSettings
from dtd_cli.config.typed import typed


@pytest.mark.parametrize("old", RENAMED)
def test_old_names_in_a_file(old):
    setting, _, value = old.partition("=")
    group, _, name = setting.partition(".")
    with pytest.raises(SettingError, match=f"{old}.*; write {RENAMED[old]}"):
        typed(group, RelevanceSettings, {name: value or True})
