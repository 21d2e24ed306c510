"""Keys of the data: one for each part of the plant, and one that wraps them.

`suites` are the ciphers, `envelope` seals files, `ring` keeps the keys, `destroying`
ends them.
"""
