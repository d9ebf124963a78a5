"""An API that documents itself with Swagger UI: the tenant application of the test of the Authorize button."""
