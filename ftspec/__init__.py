"""Fine-tuning experiments as code."""
