"""Other people's tools on the same problem; nothing here is shipped or imported by the product.

Each peer lives in an environment and a lock of its own and is run as a script; problem and answers
are exchanged as JSON files.
"""
