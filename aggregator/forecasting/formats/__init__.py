"""Readers of official files. Pure: bytes in, rows or a refusal out; no Django, no clock.

A file is taken whole or refused whole, and every refusal names file, line, column, value, rule.
"""
