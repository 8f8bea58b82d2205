"""Two people for what must not be done by one: asked by a maker, decided by a checker."""
