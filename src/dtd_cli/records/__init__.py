"""What a run leaves: its tables, its summary, and the files in its folder."""
