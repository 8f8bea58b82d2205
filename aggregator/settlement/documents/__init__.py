"""Documents of a closed period: issued, printed, confirmed, corrected, searched."""
