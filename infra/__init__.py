"""The ground: everything the pillars stand on, running and written."""
