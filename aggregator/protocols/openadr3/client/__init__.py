"""An ordinary OpenADR 3.1 client (VEN) and the site agents made of it; no Django."""
