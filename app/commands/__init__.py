"""The command lines, one module a command: `python -m app`, `kb`, `retriever`, `generator`, and `citesight`.

They put the parts together and say in words what these found or what is wrong; no part imports them.
"""
