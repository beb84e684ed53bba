"""People: the command line and reports."""
