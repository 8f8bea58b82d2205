"""Double-entry money in integer yen: transfers that nobody can edit."""
