"""Pure rules of money and identity: no Django, no clock, no dice."""
