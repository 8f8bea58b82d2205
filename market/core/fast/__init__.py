"""Large books: a structured interior point, then an exact optimum; the same answer, sooner."""
