"""The published contract, written from the models and the one declaration of the broker's objects: `make schemas`.

Nothing here decides what goes over the wire. It only says it, for people and for programs that are not Python.
"""
