"""Tables to sequences: what each column is for, what its texts mean, and the series of its rows."""
