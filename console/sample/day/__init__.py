"""A day of the sample hospital, as its systems would send it: makes the files in `console/sample/events`."""
