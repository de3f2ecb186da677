"""Services for the process: signals, progress bars, lazy imports."""
