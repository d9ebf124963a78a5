"""The command line: one module a command group, over the same store as the service."""
