"""Names of columns that those who write tables and those who read them share."""

from __future__ import annotations

LEDGER = (
    "upper_sum", "relevance_sum", "zero_order", "unresolved", "remainder", "negative_sum",
)  # fmt: skip
"""The entries of the ledger of a layer."""
