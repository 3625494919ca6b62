"""One run: from a configuration to the files in its folder."""
