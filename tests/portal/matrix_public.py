"""Public results: the same for everybody."""

ALL = (200, 200, 200, 200, 200, 200)
NOT_THERE = (404, 404, 404, 404, 404, 404)
MATRIX = {
    "/results/": ALL,
    "/results/?format=csv": ALL,
    "/results/?from=2026-02-30": ALL,
    "/results/verify/": ALL,
    "/results/downloads/": ALL,
    "/results/2026-11-25/": ALL,
    "/results/2026-11-24/": NOT_THERE,
    "/results/2026-11-25/prices.csv": ALL,
    "/results/2026-11-25/volumes.csv": ALL,
    "/results/2026-11-25/lines.csv": ALL,
    "/results/2026-11-25/rents.csv": ALL,
    "/results/2026-11-25/bids.csv": NOT_THERE,
    "/results/2026-11-25/certificate.json": ALL,
}
