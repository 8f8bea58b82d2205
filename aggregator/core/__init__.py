"""Pure rules of delivery and settlement: no Django, no clock, no dice."""
