"""Room for welcome zones, capacity reservations, what-if and back-tests."""
