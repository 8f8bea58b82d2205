"""The VTN side: what sites may ask and report."""
