"""What the data are worth, and what may become of them.

`labels` says of each name what class and grade it has, `gate` decides at each stage of
life, `catalogue` lists the labels of a plant.
"""
