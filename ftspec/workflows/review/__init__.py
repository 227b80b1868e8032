"""What a change does to experiments: both revisions composed, paired, compared, judged by gates."""
