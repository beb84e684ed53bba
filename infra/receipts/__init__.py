"""What providers tell us later: which attempt a receipt is about, what it says, and whether to believe it."""
