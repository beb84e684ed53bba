"""The embedded broker and store, and the supervisor that keeps them up."""
