"""``dtd-report``: the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from dtd_cli.app.program import execute
from dtd_cli.report import write_report

_ABOUT = """\
Tables, pictures and one page over all runs of dtd-run below a folder.

Reads the files of the runs and nothing else; may be made again at any time.
Writes into DIR/report:
  index.html        the page; opens from disk, without a network
  runs.csv          a row for each run: settings, status, duration, key figures
  relevance.csv     relevance of every unit, of all runs
  summary.csv       means, deviations and quantiles over seeds
  similarity.csv    how alike the explanations are
  *.png             the pictures of the page
"""
_STATUSES = """\
Exit status: 0 done, 2 there is no run below DIR, 1 the report cannot be
written, 130 interrupted.
"""


def main() -> None:
    """Entry point of ``dtd-report``; the exit status is 0, 1, 2 or 130 (see ``--help``)."""
    parser = argparse.ArgumentParser(
        "dtd-report",
        description=_ABOUT,
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the runs are, at any depth")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument(
        "--verify", action="store_true", help="read all files of the runs: do they still match?"
    )
    execute(parser, lambda given: [write_report(given.folder, not given.quiet, given.verify)])
