"""What the aggregator keeps. Plans go through SQLModel; what is hot or bulk, through asyncpg as it is."""
