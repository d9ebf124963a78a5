"""What the gateway would do with a request that nobody sends: asked at the command line and by the admin API."""
