"""The audit log: who did what, in an order that nobody can change unseen.

It is a Merkle tree (RFC 6962, 2.1) in static files (C2SP tlog-tiles) under a signed
checkpoint (C2SP tlog-checkpoint), so that tools of others can verify it too.
"""
