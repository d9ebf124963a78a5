"""What administrators do, each act with the event that tells of it: command line and admin API stand on these alike.

Each belongs to the transaction of its caller, who has asked whether it may be done.
"""
