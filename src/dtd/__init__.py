"""Deep Taylor Decomposition that follows the theory: exact roots, orders and ledgers."""
