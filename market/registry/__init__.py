"""Places and resources that can be traded, and the rules they are traded by."""
