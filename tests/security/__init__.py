"""One module for each class of mistake that other file services had.

Each module has an attack, which fails here, and which succeeds against the same application with
the protection taken out: so the attack is one. What the service does in all the cases that belong
to a class is tested where its parts are; the docstring of a module says where.
"""
