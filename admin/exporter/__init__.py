"""`virtadm exporter`: what daemons know through their admin API, as metrics for Prometheus.

`collection` polls the daemons, `families` turns their states into metrics, `http` serves those to
scrapers that may be slow, silent or many, and `serving` joins the three.
"""
