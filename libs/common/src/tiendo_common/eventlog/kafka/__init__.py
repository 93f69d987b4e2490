"""The event log carried by Apache Kafka: a publisher in each producer, readers by assigned partitions."""
