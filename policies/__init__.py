"""May it happen? Pure decisions over facts and a time: standard library only, synchronous, no I/O."""
