"""What people read: terminal lines, tables, live progress. Takes frozen results, decides nothing."""
