"""Files of rows, a format each, a batch in memory at a time."""
