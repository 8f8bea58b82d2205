"""OpenADR 3.1: wire (bare types), mapping (pure), server, client."""
