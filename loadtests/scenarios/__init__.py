"""What a load test does and how it grows: the parts of the locustfile that need no server, and ready-made scenarios."""
