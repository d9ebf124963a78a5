"""Who is asking: access tokens to principals, from memory."""
