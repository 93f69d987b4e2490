"""One Apache Kafka node on this machine, on loopback, without Docker: for tests, benchmarks and developers.

`jars` fetches what it is made of, `node` runs it, `probe` asks it whether it is there, `command` is
`tiendo broker`. What it is configured with is in the checkout's folder `deploy/kafka`.
"""
