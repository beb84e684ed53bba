"""The sample hospital: fictional, Chinese, and enough of it to see everything once."""
