"""Room for the REST API: one noun one file, versioned by folder."""
