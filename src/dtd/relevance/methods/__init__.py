"""What explains a sample: the exact recursion, its estimate by walks, and what they face."""
