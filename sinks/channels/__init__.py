"""One provider per file, and nothing else."""
