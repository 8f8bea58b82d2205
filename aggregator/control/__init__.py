"""Room for the rolling loop: predict, optimise, control; alarms and drills."""
