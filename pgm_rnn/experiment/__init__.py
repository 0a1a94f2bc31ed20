"""Studies: what they are, how their cells are computed, and where the results are kept."""
