"""A stock arq project, as its author would have it: one line is ours, the first import."""
