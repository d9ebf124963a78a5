"""The data plane: from a request on an API host to its upstream and back, streamed."""
