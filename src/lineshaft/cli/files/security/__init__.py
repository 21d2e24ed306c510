"""What the files of a plant say about people, rights and proofs."""
