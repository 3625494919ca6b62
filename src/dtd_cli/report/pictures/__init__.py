"""Pictures over runs, drawn from the report's tables alone."""
