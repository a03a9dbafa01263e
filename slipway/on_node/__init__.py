"""What runs on a node, whose Python gets it over standard input: see ``slipway/node_program.py``.

One file for each module, whose :func:`main` does its work, and :mod:`shared` with what several of
them need. They import nothing but Python's standard library and each other, by
``from slipway.on_node.shared import``, and run with Python 3.8.
"""
