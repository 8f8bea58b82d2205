"""The auction: who wins, at what price? Knows no protocol and no HTTP."""
