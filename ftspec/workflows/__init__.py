"""What a person asks for: plan, run, look. They emit events, return frozen results and print nothing."""
