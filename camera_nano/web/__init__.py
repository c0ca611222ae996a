"""The live page: the only package that imports a web framework."""
