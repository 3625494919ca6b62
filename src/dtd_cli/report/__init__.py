"""``dtd-report``: tables, pictures and a page over the runs below a folder."""

from __future__ import annotations

from pathlib import Path


def write_report(folder: Path, progress: bool, verify: bool = False) -> Path:
    """Write the report over all runs below ``folder`` into its folder ``report``.

    A report is made from the files of the runs alone, and made again it has the same bytes. It
    appears whole, in place of an earlier one, or not at all.

    Args:
        folder: where to look for runs, at any depth.
        progress: whether to show progress, on a terminal.
        verify: whether to compare the content of all files with what the runs wrote.

    Returns:
        The page, ``folder/report/index.html``.

    Raises:
        SettingError: there is no run, or ``folder/report`` is something else.
        OSError: the report cannot be written.
    """
    # Slow to import, and not needed for --help.
    from dtd_cli.report.story import write

    return write(folder, progress, verify)
