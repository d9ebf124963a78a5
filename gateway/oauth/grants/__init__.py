"""The grants: each is one module that fills in its part of the pipeline in ``gateway.oauth.pipeline``."""
