"""Verbs about people, rights and proofs."""
