"""A local page on which a person judges the frames of a dataset."""
