"""What can be asked of the aggregator: one use case, one transaction."""
