"""Running the product: bootstrap, embedded servers, supervision, health, commands."""
