"""The commands: flags and mains; the package does the work."""
