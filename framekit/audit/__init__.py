"""The audit: what a dataset holds, in figures and in plain words."""
