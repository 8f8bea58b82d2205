"""Room for USEF Flex Trading Protocol: wire, mapping, server, client."""
