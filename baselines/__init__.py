"""The commands: their flags and main functions; the package does the work."""
