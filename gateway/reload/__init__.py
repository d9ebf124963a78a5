"""Another configuration for a process that goes on: read, checked, taken whole or not at all."""
