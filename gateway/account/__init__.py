"""The account pages: what a person sees of their own account, and changes in it. None of it is anybody else's."""
