"""The service: identity endpoints and the data plane over what ``tenants`` stores and ``policies`` decides."""
