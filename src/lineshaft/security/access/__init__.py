"""Who may do what to which part of the plant: nothing, unless a grant says so.

`document` is what people write, `policy` decides, `why` explains, `trial` runs the
tests that a policy carries, `versions` keeps what was accepted, `approvals` asks a
second person.
"""
