"""The embedded store: the ClickHouse engine as a library (chDB) behind ClickHouse's own HTTP protocol.

`python -m infra.local.store --path DIR --port N` serves one folder on the loopback; clients are the same as for a
ClickHouse server. Never imported by the client side: that speaks HTTP through `infra.clickhouse`.
"""
