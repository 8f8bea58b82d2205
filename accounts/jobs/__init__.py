"""Work as rows: kind, key, lease, fencing token; Celery only rings the bell."""
