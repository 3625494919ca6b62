"""The program ``dtd-run``: experiments with deep Taylor decomposition from the command line."""
