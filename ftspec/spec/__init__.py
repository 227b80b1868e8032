"""What the YAML means: strict models, digests, event types and the error tree. Imports nothing of ours."""
