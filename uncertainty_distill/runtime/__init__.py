"""What concerns the process: signals, progress, lazy imports."""
