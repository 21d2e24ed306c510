"""Who people are: their accounts, how they prove it, and how long that lasts.

What they may do is not said here but in the policy (`security.access`): the name of an
account is the subject that the policy speaks of.
"""
